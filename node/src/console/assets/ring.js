import { ApiError, call, credentials, get } from './api.js';
import { cellTable, cellWords } from './cells.js';
import { h } from './dom.js';
import { count, duration } from './format.js';
import { repeat } from './live.js';
import { button, chip, field, heading, named, panel, table } from './parts.js';
import { colours, ringPicture } from './ring_picture.js';

export const ringPage = {
  title: 'Ring',
  async run(context) {
    let problem;
    await repeat(1_000, context.signal, async () => {
      const [mesh, status] = await Promise.all([
        cellsOf(context),
        cluster(context).catch((error) => {
          if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) throw error;
          credentials.keepAdminToken(null);
          problem = 'This is not the admin token of this cluster.';
          return null;
        }),
      ]);
      const forgetting = context.who && status && button('Forget the token', () => forget(context));
      context.show(heading('Ring', forgetting), ...(status ? view(status, mesh) : [...own(context, mesh), ask(problem)]));
    });
  },
};

function forget(context) {
  credentials.keepAdminToken(null);
  context.go('');
}

async function cluster(context) {
  return credentials.adminToken ? call('GET', '/v1/cluster', { credential: credentials.adminToken, signal: context.signal }) : null;
}

/** The cells of the account that is signed in; none for a key that is confined to a workspace or a tenant. */
async function cellsOf(context) {
  const { scope } = context.who ?? {};
  if (!context.who || scope?.workspace || scope?.tenant || !context.features.has('/v1/mesh/cells')) return null;
  return get('/v1/mesh/cells', {}, context.signal);
}

/** What an API key shows of the ring. */
function own(context, mesh) {
  if (!mesh || mesh.nodes.length === 0) return [];
  const members = mesh.nodes.map(({ name, state }) => ({ name, region: mesh.region, live: state !== 'silent', phase: state }));
  const status = { members, shards: [] };
  const colour = colours(members);
  return [
    h('div', { class: 'rings' },
      h('figure', { class: 'ring' }, ringPicture(status, mesh.region, colour, mesh.cells), h('figcaption', null, h('strong', null, mesh.region), ` · ${cellWords(mesh.cells)}`)),
      panel('Nodes', table({
        name: 'Nodes',
        columns: [
          { title: 'Node', class: 'wide', cell: (member) => [dot(member.name, colour), named(member.name)] },
          { title: 'State', cell: (member) => chip(...phaseOf(member)) },
        ],
        rows: members,
        key: (member) => member.name,
        empty: 'No nodes.',
      }))),
    panel(`Cells of ${context.who.account.handle}`, cellTable(mesh, (name) => dot(name, colour))),
  ];
}

/** Shards serve all accounts, so an API key does not show them. */
function ask(problem) {
  const onsubmit = (event) => {
    event.preventDefault();
    credentials.keepAdminToken(new FormData(event.target).get('token').trim());
    dispatchEvent(new HashChangeEvent('hashchange'));
  };
  const input = h('input', { type: 'password', id: 'admin-token', name: 'token', required: true, pattern: '\\s*[\\x21-\\x7e]+\\s*', autocomplete: 'off', spellcheck: 'false' });
  return h('form', { key: 'ask', class: 'panel narrow', onsubmit },
    h('p', null, 'Shards, and what else there is to know of the nodes, are for the operator: the admin token shows them. It is in the file ', h('code', null, 'admin-token'), ' of a node’s data directory.'),
    field('Admin token', input, 'It is kept until this page is closed or reloaded.'),
    problem ? h('p', { class: 'problem', role: 'alert' }, problem) : null,
    h('div', { class: 'buttons' }, h('button', { type: 'submit', class: 'primary' }, 'Show the ring')));
}

function view(status, mesh) {
  if (!status.cluster) return [h('p', { class: 'empty' }, 'This node is alone: it has no ring settings.')];
  const colour = colours(status.members);
  const regions = status.regions.map((region) =>
    h('figure', { class: 'ring', key: region.name },
      ringPicture(status, region.name, colour, mesh?.region === region.name ? mesh.cells : []),
      h('figcaption', null, h('strong', null, region.name), ` · ${region.live ? `${count(region.live)} of ${count(status.members.filter((member) => member.region === region.name).length)} nodes heard` : 'out of reach'}${region.first && status.regions.length > 1 ? ' · keeps the handles' : ''}`)));
  return [
    h('p', { class: 'note' }, `Cluster ${status.cluster}, as node ${status.node} sees it.`),
    h('div', { class: 'rings' }, ...regions, panel('Nodes', nodeTable(status, colour))),
    mesh && panel('Cells', cellTable(mesh, (name) => dot(name, colour))),
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
