import { events, get, now } from './api.js';
import { h } from './dom.js';
import { clock, count, duration } from './format.js';
import { pause, repeat } from './live.js';
import { allOr, chip, filter, heading, id, mode, named, table, when, workspaceLink } from './parts.js';

const KINDS = [
  'account_created', 'api_key_created', 'api_key_revoked', 'everything_revoked', 'grant_created', 'grant_revoked', 'session_ended',
  'session_fenced', 'session_opened', 'session_out', 'session_revoked', 'tenant_changed', 'tenant_created', 'tenant_deleted', 'ticket_issued',
  'workspace_changed', 'workspace_created', 'workspace_deleted', 'workspace_removed',
];
const HOUR_MS = 3_600_000;
const SPANS = [['1', 'last hour'], ['24', 'last day'], ['168', 'last 7 days'], ['720', 'last 30 days']];
/** So many entries are shown, the latest, and so many are looked at to find them. */
const SHOWN = 500;
const READ = 10_000;
const AGAIN_MS = 1_000;

export const auditPage = {
  title: 'Audit',
  needs: '/v1/audit',
  async run(context) {
    const { query, signal } = context;
    const wanted = { kind: query.get('kind'), tenant_slug: query.get('tenant'), workspace: query.get('workspace') };
    const trail = new Map();
    const draw = () => trail.isRead && context.show(...view(context, trail));
    // Times go on also where nothing happens.
    await Promise.all([follow(trail, wanted, query, signal, draw), repeat(1_000, signal, draw)]);
  },
};

async function follow(trail, wanted, query, signal, draw) {
  for (;;) {
    // Followed first, so that the list misses nothing.
    for await (const { event, data } of events('/v1/audit/events', wanted, signal)) {
      if (event === 'ready') await read(trail, wanted, query, signal);
      else add(trail, JSON.parse(data));
      draw();
    }
    await pause(AGAIN_MS, signal);
  }
}

async function read(trail, wanted, query, signal) {
  const since = new Date(now() - Number(query.get('hours') ?? SPANS[0][0]) * HOUR_MS).toISOString();
  let [cursor, seen] = [undefined, 0];
  do {
    const page = await get('/v1/audit', { ...wanted, since, limit: 200, cursor }, signal);
    page.items.forEach((entry) => add(trail, entry));
    seen += page.items.length;
    cursor = page.next_cursor;
  } while (cursor && seen < READ);
  trail.more = Boolean(cursor);
  trail.isRead = true;
}

function add(trail, entry) {
  trail.set(entry.id, entry);
  for (const key of trail.keys()) {
    if (trail.size <= SHOWN) break;
    trail.delete(key);
    trail.cut = true;
  }
}

function view(context, trail) {
  const rows = [...trail.values()].reverse();
  const columns = [
    { title: 'When', class: 'wide', cell: (entry) => named(when(entry.at), clock(entry.at)) },
    { title: 'What', class: 'wide', cell: (entry) => [chip(kindOf(entry.kind), entry.kind.replaceAll('_', ' ')), why(entry)] },
    { title: 'About', class: 'wide', cell: about },
    { title: 'By', class: 'wide', cell: ({ by }) => named(by.kind.replaceAll('_', ' '), [by.key_id, by.ticket_id].filter(Boolean).map(id)) },
  ];
  return [
    heading('Audit'),
    h('div', { class: 'filters' },
      filter(context, 'hours', 'Time', SPANS),
      filter(context, 'kind', 'What', [['', 'all'], ...KINDS.map((kind) => [kind, kind.replaceAll('_', ' ')])]),
      filter(context, 'tenant', 'Tenant', allOr(rows.map((entry) => entry.tenant_slug).filter(Boolean))),
      filter(context, 'workspace', 'Workspace', allOr(rows.map((entry) => entry.workspace).filter(Boolean)))),
    table({ name: 'Audit trail, latest first', columns, rows, key: (entry) => entry.id, empty: 'Nothing happened in that time.' }),
    trail.more && h('p', { class: 'note' }, `There is more behind the first ${count(READ)} entries of this time. Choose a shorter one, or narrow it down.`),
    !trail.more && trail.cut && h('p', { class: 'note' }, `These are the latest ${count(SHOWN)}. Narrow them down to see the others.`),
  ];
}

/** `revoked, confirmed after 38 ms`. */
function why({ reason, how, after_ms }) {
  const after = after_ms === undefined ? '' : `${how ? `${how.replaceAll('_', ' ')} ` : ''}after ${duration(after_ms)}`;
  const words = [reason?.replaceAll('_', ' '), after].filter(Boolean);
  return words.length ? h('span', { class: 'below' }, words.join(', ')) : null;
}

function kindOf(kind) {
  if (/revoked|deleted|fenced|out$|removed/.test(kind)) return 'bad';
  return /created|issued|opened/.test(kind) ? 'good' : 'quiet';
}

function about(entry) {
  const who = [entry.tenant_slug, entry.runtime_id].filter(Boolean).join(' / ');
  const ids = [entry.session_id, entry.ticket_id, entry.grant_id, entry.key_id].filter(Boolean);
  const place = [entry.host, entry.remote_addr].filter(Boolean).join(' from ');
  return [
    entry.workspace ? h('span', null, workspaceLink(entry.workspace), ' ') : null,
    who ? h('span', { class: 'name' }, `${who} `) : null,
    entry.mode ? mode(entry.mode) : null,
    place ? h('span', { class: 'below' }, place) : null,
    ids.length ? h('span', { class: 'below' }, id(ids[0])) : null,
  ];
}
