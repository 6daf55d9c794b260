import { get, list, workspacePath } from './api.js';
import { h } from './dom.js';
import { bytes, count } from './format.js';
import { grantTable } from './grants.js';
import { issueTicket } from './issue_ticket.js';
import { repeat } from './live.js';
import { lockTable } from './locks.js';
import { mountTable } from './mounts.js';
import { button, heading, id, panel, quota, when } from './parts.js';
import { status } from './workspaces.js';

export const workspacePage = {
  title: 'Workspace',
  under: 'workspaces',
  run: (context) => repeat(1_000, context.signal, async () => {
    const address = context.query.get('name') ?? '';
    const path = workspacePath(address);
    const { signal } = context;
    const workspace = await get(path, {}, signal);
    const isActive = workspace.status === 'active';
    const [storage, mounts, grants, locks] = await Promise.all([
      isActive ? get(`${path}/usage`, {}, signal) : null,
      list('/v1/sessions', { workspace: address }, signal),
      list('/v1/grants', { workspace: address }, signal),
      isActive ? list(`${path}/locks`, {}, signal) : [],
    ]);
    context.show(
      heading(workspace.address, isActive && button('Issue ticket', () => issueTicket(context, { workspace: workspace.address }), 'primary')),
      h('dl', { class: 'facts' }, ...facts(workspace, storage)),
      panel('Mounts', mountTable(mounts, ['Workspace'])),
      panel('Grants', grantTable(context, grants, mounts, ['Workspace'])),
      panel('Locks', lockTable(locks, mounts)),
    );
  }),
};

function facts(workspace, storage) {
  const all = [
    ['Id', id(workspace.id)],
    ['Status', status(workspace)],
    ['Region', workspace.region],
    ['Made', when(workspace.created_at)],
    workspace.forked_from && ['Fork of', workspace.forked_from],
    workspace.tenant_slug && ['Tenant', workspace.tenant_slug],
    ['Data', workspace.usage ? quota(workspace.usage.bytes, workspace.quota_bytes) : 'out of reach'],
    ['Files and directories', workspace.usage ? quota(workspace.usage.inodes, workspace.quota_inodes, count) : '–'],
    storage && ['Segments', `${count(storage.segments)}, ${bytes(storage.stored_bytes)}, of which ${bytes(storage.live_bytes)} live`],
    storage && ['Not packed yet', bytes(storage.inline_bytes)],
  ];
  return all.filter(Boolean).map(([name, ...value]) => h('div', { key: name }, h('dt', null, name), h('dd', null, ...value)));
}
