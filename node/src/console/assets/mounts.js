import { list } from './api.js';
import { h } from './dom.js';
import { health, holder, lease } from './health.js';
import { repeat } from './live.js';
import { allOr, filter, heading, id, mode, named, table, when, workspaceLink } from './parts.js';

export const mountsPage = {
  title: 'Mounts',
  run: (context) => repeat(1_000, context.signal, async () => {
    const all = await list('/v1/sessions', {}, context.signal);
    const picked = (name, value) => !context.query.get(name) || context.query.get(name) === value;
    const rows = all.filter((session) => picked('tenant', session.tenant_slug) && picked('workspace', session.workspace));
    context.show(
      heading('Mounts'),
      h('div', { class: 'filters' },
        filter(context, 'tenant', 'Tenant', allOr(all.map((session) => session.tenant_slug).filter(Boolean))),
        filter(context, 'workspace', 'Workspace', allOr(all.map((session) => session.workspace)))),
      mountTable(Object.assign(rows, { more: all.more })),
    );
  }),
};

/** The mounts in a table. */
export function mountTable(rows, without = []) {
  const columns = [
    { title: 'Health', cell: health },
    { title: 'Host', class: 'wide', cell: (session) => named(session.host, `${session.agent} from ${session.remote_addr}`) },
    { title: 'Workspace', class: 'wide', cell: (session) => workspaceLink(session.workspace) },
    { title: 'For', class: 'wide', cell: (session) => named(holder(session), id(session.id)) },
    { title: 'Mode', cell: (session) => mode(session.mode) },
    { title: 'Heard', cell: (session) => when(session.last_heard_at) },
    { title: 'Lease', cell: lease, class: 'meter' },
    { title: 'Mounted', cell: (session) => when(session.opened_at) },
    { title: 'Ends', cell: (session) => when(session.expires_at) },
  ];
  return table({
    name: 'Mounts',
    columns: columns.filter(({ title }) => !without.includes(title)),
    rows,
    key: (session) => session.id,
    empty: 'No mounts.',
  });
}
