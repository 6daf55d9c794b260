import { ApiError, list, now, workspacePath } from './api.js';
import { h } from './dom.js';
import { count, duration } from './format.js';
import { repeat } from './live.js';
import { allOr, chip, filter, heading, id, named, table, when, workspaceLink } from './parts.js';

/** Of so many workspaces the locks are shown if none is chosen, and of so many they are asked for at once. */
const MOST_WORKSPACES = 50;
const AT_ONCE = 6;

export const locksPage = {
  title: 'Locks',
  run: (context) => repeat(1_000, context.signal, async () => {
    const { signal } = context;
    const [workspaces, mounts] = await Promise.all([list('/v1/workspaces', {}, signal), list('/v1/sessions', {}, signal)]);
    const active = workspaces.filter(({ status }) => status === 'active').map(({ address }) => address);
    const chosen = context.query.get('workspace');
    const asked = chosen ? active.filter((address) => address === chosen) : active.slice(0, MOST_WORKSPACES);
    const rows = [];
    for (let from = 0; from < asked.length; from += AT_ONCE) {
      const some = asked.slice(from, from + AT_ONCE).map(async (address) => (await locksOf(address, signal)).map((lock) => ({ ...lock, workspace: address })));
      rows.push(...(await Promise.all(some)).flat());
    }
    const left = chosen ? 0 : active.length - asked.length;
    context.show(
      heading('Locks'),
      h('div', { class: 'filters' }, filter(context, 'workspace', 'Workspace', allOr(active))),
      lockTable(rows, mounts, true),
      left > 0 && h('p', { class: 'note' }, `These are of the first ${count(MOST_WORKSPACES)} workspaces. Choose one to see its locks.`),
    );
  }),
};

async function locksOf(address, signal) {
  try {
    return await list(`${workspacePath(address)}/locks`, {}, signal);
  } catch (error) {
    // Deleted a moment ago.
    if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return [];
    throw error;
  }
}

/** What is locked, who has it, and who waits for it, in order. */
export function lockTable(rows, mounts, withWorkspace = false) {
  const party = (of) => h('li', { key: of.lock_id ?? `${of.session}-${of.pid}-${of.first_byte}-${of.since}` }, ...describe(of, mounts));
  const columns = [
    { title: 'Lock', class: 'wide', cell: (lock) => named(lock.name ?? `inode ${lock.inode}`, KINDS[lock.kind] ?? lock.kind) },
    ...(withWorkspace ? [{ title: 'Workspace', class: 'wide', cell: (lock) => workspaceLink(lock.workspace) }] : []),
    { title: 'Held by', class: 'wide', cell: (lock) => (lock.holders.length ? h('ul', { class: 'parties' }, ...lock.holders.map(party)) : 'nobody') },
    { title: 'Waiting', class: 'wide', cell: (lock) => (lock.waiters.length ? h('ol', { class: 'parties' }, ...lock.waiters.map(party)) : 'nobody') },
  ];
  return table({ name: 'Locks', columns, rows, key: (lock) => `${lock.workspace} ${lock.kind} ${lock.name ?? lock.inode}`, empty: 'Nothing is locked.' });
}

const KINDS = { named: 'a name', flock: 'a file, by flock', fcntl: 'bytes of a file, by fcntl' };

function describe(of, mounts) {
  const host = mounts.find((session) => session.id === of.session)?.host;
  const name = of.owner ?? (of.pid ? `process ${of.pid} on ${host ?? of.session}` : of.taken_by ?? of.lock_id ?? 'somebody');
  const bytes = of.first_byte === undefined ? null : `bytes ${count(of.first_byte)} to ${of.last_byte === undefined ? 'the end' : count(of.last_byte)}`;
  const details = [
    `for ${duration(now() - Date.parse(of.since))}`,
    of.permits ? `${count(of.permits)} permits` : null,
    bytes,
    of.fencing_token === undefined ? null : `token ${of.fencing_token}`,
  ].filter(Boolean);
  return [
    chip('quiet', of.mode),
    h('span', null,
      h('span', { class: 'name' }, name),
      of.note ? h('span', null, ` “${of.note}”`) : null,
      h('span', { class: 'below' }, details.join(', '), of.expires_at ? [', runs out ', when(of.expires_at)] : null),
      of.taken_by && of.owner ? h('span', { class: 'below' }, id(of.taken_by)) : null),
  ];
}
