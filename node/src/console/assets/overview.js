import { get, list, now } from './api.js';
import { h } from './dom.js';
import { bytes, count, counted, share } from './format.js';
import { healthOf, stateOf } from './health.js';
import { repeat } from './live.js';
import { heading, panel, tile, when, workspaceLink } from './parts.js';

/** Tickets renew what they can; a grant that is still in use so shortly before its end is worth a look. */
const SOON_MS = 600_000;
const MOUNTS_EVERY_MS = 1_000;
const REST_EVERY_MS = 10_000;

export const overviewPage = {
  title: 'Overview',
  async run(context) {
    const data = {};
    const draw = () => data.mounts && data.workspaces && context.show(...view(data, context));
    await Promise.all([
      repeat(MOUNTS_EVERY_MS, context.signal, async () => {
        data.mounts = await list('/v1/sessions', {}, context.signal);
        draw();
      }),
      repeat(REST_EVERY_MS, context.signal, async () => {
        const lists = ['workspaces', 'tenants', 'grants'].map((name) => list(`/v1/${name}`, {}, context.signal));
        const [workspaces, tenants, grants, usage] = await Promise.all([...lists, get('/v1/usage', { limit: 1 }, context.signal)]);
        Object.assign(data, { workspaces, tenants, grants, usage });
        draw();
      }),
    ]);
  },
};

function view({ mounts, workspaces, tenants, grants, usage }, { who }) {
  const lapsed = mounts.filter(({ state }) => state === 'lapsed').length;
  const standing = grants.filter((grant) => stateOf(grant) === 'stands').length;
  const all = (items) => `${count(items.length)}${items.more ? '+' : ''}`;
  return [
    heading(who.account.handle),
    h('div', { class: 'tiles' },
      tile('Live mounts', `${count(mounts.length - lapsed)}${mounts.more ? '+' : ''}`, lapsed ? `${count(lapsed)} lapsed` : 'none lapsed', '#/mounts'),
      tile('Workspaces', all(workspaces), `in ${counted(new Set(workspaces.map(({ region }) => region)).size, 'region')}`, '#/workspaces'),
      tile('Tenants', all(tenants), '', '#/tenants'),
      tile('Standing grants', `${count(standing)}${grants.more ? '+' : ''}`, `${count(grants.length - standing)} over`, '#/grants'),
      tile('Data held', bytes(usage.total?.bytes), `${count(usage.total?.inodes)} files and directories`, '#/usage')),
    panel('Hosts', hosts(mounts)),
    panel('To look at', concerns(mounts, workspaces, grants)),
  ];
}

/** A square a mount, by the machine that has it. */
function hosts(mounts) {
  const byHost = group(mounts);
  if (byHost.size === 0) return h('p', { class: 'empty' }, 'Nothing is mounted. Issue a ticket for a workspace, and mount it with that.');
  const host = ([name, here]) => {
    const states = Object.entries(tally(here.map((session) => healthOf(session)[1]))).map(([word, number]) => `${count(number)} ${word}`);
    return h('li', { key: name },
      h('span', { class: 'name' }, name),
      h('span', { class: 'cells', 'aria-hidden': 'true' }, ...here.map((session) => h('span', { key: session.id, class: `cell ${healthOf(session)[0]}` }))),
      h('span', { class: 'note' }, states.join(', ')));
  };
  return h('ul', { class: 'hosts' }, ...[...byHost].sort(([a], [b]) => (a < b ? -1 : 1)).map(host));
}

function group(mounts) {
  const byHost = new Map();
  for (const session of mounts) byHost.set(session.host, [...(byHost.get(session.host) ?? []), session]);
  return byHost;
}

function tally(words) {
  const numbers = {};
  for (const word of words) numbers[word] = (numbers[word] ?? 0) + 1;
  return numbers;
}

function concerns(mounts, workspaces, grants) {
  const found = [];
  for (const session of mounts.filter((session) => healthOf(session)[0] !== 'good')) {
    found.push([session.id, `The mount of ${session.host} is ${healthOf(session)[1]}; it was heard `, when(session.last_heard_at), ': ', workspaceLink(session.workspace)]);
  }
  for (const { id, address, usage, quota_bytes: limit, quota_inodes: most, status } of workspaces) {
    if (limit && share(usage?.bytes ?? 0, limit) >= 0.9) found.push([`${id}-b`, workspaceLink(address), ` holds ${bytes(usage.bytes)} of ${bytes(limit)}`]);
    if (most && share(usage?.inodes ?? 0, most) >= 0.9) found.push([`${id}-i`, workspaceLink(address), ` holds ${count(usage.inodes)} of ${count(most)} files and directories`]);
    if (status !== 'active') found.push([`${id}-s`, workspaceLink(address), ` is ${status}`]);
    if (!usage) found.push([`${id}-u`, workspaceLink(address), ' is out of reach']);
  }
  for (const grant of grants.filter((grant) => stateOf(grant) === 'stands' && grant.expires_at && Date.parse(grant.expires_at) - now() < SOON_MS)) {
    if (mounts.some((session) => session.grant_id === grant.id)) {
      found.push([grant.id, `The grant of ${grant.tenant_slug} / ${grant.runtime_id ?? 'all'} on `, workspaceLink(grant.workspace), ' runs out ', when(grant.expires_at), ', and is in use']);
    }
  }
  if (found.length === 0) return h('p', { class: 'empty' }, 'Nothing: every mount is heard, and no quota is nearly used up.');
  return h('ul', { class: 'concerns' }, ...found.slice(0, 50).map(([key, ...text]) => h('li', { key }, ...text)));
}
