import { ApiError, call, credentials } from './api.js';
import { h } from './dom.js';
import { count, duration } from './format.js';
import { repeat } from './live.js';
import { button, chip, field, heading, named, panel, table } from './parts.js';
import { colours, ringPicture } from './ring_picture.js';

export const ringPage = {
  title: 'Ring',
  async run(context) {
    if (!credentials.adminToken) {
      ask(context);
      return;
    }
    await repeat(1_000, context.signal, async () => {
      let status;
      try {
        status = await call('GET', '/v1/cluster', { credential: credentials.adminToken, signal: context.signal });
      } catch (error) {
        if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) throw error;
        credentials.keepAdminToken(null);
        ask(context, 'This is not the admin token of this cluster.');
        return new Promise(() => {});
      }
      context.show(heading('Ring', context.who && button('Forget the token', () => forget(context))), ...view(status));
      return undefined;
    });
  },
};

function forget(context) {
  credentials.keepAdminToken(null);
  context.go('');
}

/** Nodes and shards serve all accounts, so an API key does not show them. */
function ask(context, problem) {
  const onsubmit = (event) => {
    event.preventDefault();
    credentials.keepAdminToken(new FormData(event.target).get('token').trim());
    dispatchEvent(new HashChangeEvent('hashchange'));
  };
  const input = h('input', { type: 'password', name: 'token', required: true, pattern: '\\s*[\\x21-\\x7e]+\\s*', autocomplete: 'off', spellcheck: 'false' });
  context.show(
    heading('Ring'),
    h('form', { class: 'panel narrow', onsubmit },
      h('p', null, 'The nodes serve all accounts; the operator sees them with the admin token, which is in the file ', h('code', null, 'admin-token'), ' of a node’s data directory.'),
      field('Admin token', input, 'It is kept until this page is closed or reloaded.'),
      problem ? h('p', { class: 'problem', role: 'alert' }, problem) : null,
      h('div', { class: 'buttons' }, h('button', { type: 'submit', class: 'primary' }, 'Show the ring'))),
  );
}

function view(status) {
  if (!status.cluster) return [h('p', { class: 'empty' }, 'This node is alone: it has no ring settings.')];
  const colour = colours(status.members);
  const regions = status.regions.map((region) =>
    h('figure', { class: 'ring', key: region.name },
      ringPicture(status, region.name, colour),
      h('figcaption', null, h('strong', null, region.name), ` · ${region.live ? `${count(region.live)} of ${count(status.members.filter((member) => member.region === region.name).length)} nodes heard` : 'out of reach'}${region.first && status.regions.length > 1 ? ' · keeps the handles' : ''}`)));
  return [
    h('p', { class: 'note' }, `Cluster ${status.cluster}, as node ${status.node} sees it.`),
    h('div', { class: 'rings' }, ...regions, panel('Nodes', nodeTable(status, colour))),
    panel('Shards', shardTable(status, colour)),
  ];
}

/** How a node is: `[kind, word]`. */
export function phaseOf(member) {
  if (!member.live) return ['bad', 'silent'];
  return [member.phase === 'serving' ? 'good' : 'warn', member.phase ?? 'unknown'];
}

function dot(name, colour) {
  return h('span', { class: `dot node-${colour.get(name) ?? 'none'}`, 'aria-hidden': 'true' });
}

function nodeTable(status, colour) {
  const columns = [
    { title: 'Node', class: 'wide', cell: (member) => [dot(member.name, colour), ...named(member.name, member.api ?? member.gossip)] },
    { title: 'State', cell: (member) => chip(...phaseOf(member)) },
    { title: 'Region', cell: (member) => member.region ?? '–' },
    { title: 'Release', cell: (member) => member.release ?? '–' },
    { title: 'Heard', cell: (member) => (member.name === status.node ? 'is asked' : member.heard_ms == null ? 'never' : `${duration(member.heard_ms)} ago`) },
    { title: 'Sees', cell: (member) => member.problem ?? `${count(member.sees)} live` },
  ];
  return table({ name: 'Nodes', columns, rows: status.members, key: (member) => member.name, empty: 'No nodes.' });
}

function shardTable(status, colour) {
  const owner = (name) => (name ? [dot(name, colour), name] : 'nobody');
  const columns = [
    { title: 'Shard', cell: (shard) => (status.regions.length > 1 ? `${shard.region} ${shard.shard}` : String(shard.shard)) },
    { title: 'Should own', cell: (shard) => owner(shard.suggested_owner) },
    { title: 'In hand', class: 'wide', cell: (shard) => (shard.units.length ? h('ul', { class: 'parties' }, ...shard.units.map((unit) =>
      h('li', { key: unit.node }, chip(unit.state === 'serving' ? 'good' : 'warn', unit.state), h('span', null, unit.node, unit.epoch == null ? null : h('span', { class: 'note' }, `, epoch ${count(unit.epoch)}`))))) : '–') },
    { title: 'Unflushed', cell: (shard) => count(shard.units.find(({ unflushed }) => unflushed != null)?.unflushed), class: 'number' },
    { title: 'Feed lag', cell: (shard) => lag(shard.followers), class: 'number' },
  ];
  return table({ name: 'Shards', columns, rows: status.shards, key: (shard) => `${shard.region} ${shard.shard}`, empty: 'No shards.' });
}

/** How far behind the slowest node is that follows what is revoked. */
function lag(followers) {
  if (followers.length === 0) return '–';
  const ages = followers.map((follower) => follower.age_ms);
  return ages.some((age) => age == null) ? 'unread' : duration(Math.max(...ages));
}
