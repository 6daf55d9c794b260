import { list } from './api.js';
import { createWorkspace } from './create_workspace.js';
import { issueTicket } from './issue_ticket.js';
import { count } from './format.js';
import { repeat } from './live.js';
import { button, chip, heading, id, named, quota, table, when, workspaceLink } from './parts.js';

export const workspacesPage = {
  title: 'Workspaces',
  run: (context) => repeat(2_000, context.signal, async () => {
    const [rows, mounts] = await Promise.all([list('/v1/workspaces', {}, context.signal), list('/v1/sessions', {}, context.signal)]);
    const mounted = (address) => mounts.filter((session) => session.workspace === address).length;
    const columns = [
      { title: 'Workspace', class: 'wide', cell: (workspace) => named(workspaceLink(workspace.address), id(workspace.id)) },
      { title: 'Status', cell: status },
      { title: 'Data', cell: ({ usage, quota_bytes: limit }) => (usage ? quota(usage.bytes, limit) : 'out of reach'), class: 'meter' },
      { title: 'Files', cell: ({ usage, quota_inodes: limit }) => (usage ? quota(usage.inodes, limit, count) : '–'), class: 'meter' },
      { title: 'Mounts', cell: ({ address }) => count(mounted(address)), class: 'number' },
      { title: 'Region', cell: ({ region }) => region },
      { title: 'Made', cell: ({ created_at: at, forked_from: origin }) => (origin ? named(when(at), `of ${origin}`) : when(at)) },
      { title: 'Actions', hidden: true, class: 'does', cell: (workspace) => workspace.status === 'active' && button('Issue ticket', () => issueTicket(context, { workspace: workspace.address })) },
    ];
    context.show(
      heading('Workspaces', button('Create workspace', () => createWorkspace(context), 'primary')),
      table({ name: 'Workspaces', columns, rows, key: (workspace) => workspace.id, empty: 'No workspaces. Create the first one.' }),
    );
  }),
};

/** A workspace's status. */
export function status({ status: word }) {
  return chip({ active: 'good', creating: 'warn', deleting: 'bad' }[word] ?? 'quiet', word);
}
