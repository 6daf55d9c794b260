import { list } from './api.js';
import { h } from './dom.js';
import { bytes, count } from './format.js';
import { repeat } from './live.js';
import { allOr, bar, filter, heading, quota, table, tile, workspaceLink } from './parts.js';

export const usagePage = {
  title: 'Usage',
  run: (context) => repeat(5_000, context.signal, async () => {
    const tenant = context.query.get('tenant');
    const { signal } = context;
    const [rows, workspaces, tenants] = await Promise.all([
      list('/v1/usage', { tenant_slug: tenant }, signal),
      list('/v1/workspaces', {}, signal),
      list('/v1/tenants', {}, signal),
    ]);
    const total = rows.total;
    const limits = new Map(workspaces.map((workspace) => [workspace.address, workspace]));
    const sorted = Object.assign([...rows].sort((a, b) => b.bytes - a.bytes), { more: rows.more });
    const columns = [
      { title: 'Workspace', class: 'wide', cell: (item) => workspaceLink(item.workspace) },
      { title: 'Data', cell: (item) => quota(item.bytes, limits.get(item.workspace)?.quota_bytes), class: 'meter' },
      { title: 'Of all data', cell: (item) => [h('span', null, percent(item.bytes, total.bytes)), bar(item.bytes, total.bytes)], class: 'meter' },
      { title: 'Files and directories', cell: (item) => quota(item.inodes, limits.get(item.workspace)?.quota_inodes, count), class: 'meter' },
    ];
    context.show(
      heading('Usage'),
      h('div', { class: 'filters' }, filter(context, 'tenant', 'Tenant', allOr(tenants.map(({ slug }) => slug)))),
      h('div', { class: 'tiles' },
        tile('Data', bytes(total.bytes)),
        tile('Files and directories', count(total.inodes)),
        tile('Workspaces', count(total.workspaces), tenant ? `that ${tenant} may mount` : '')),
      table({ name: 'Usage by workspace', columns, rows: sorted, key: (item) => item.workspace, empty: 'No workspaces.' }),
    );
  }),
};

function percent(part, whole) {
  return whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : '–';
}
