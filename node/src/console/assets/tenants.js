import { list } from './api.js';
import { h } from './dom.js';
import { bytes, count } from './format.js';
import { stateOf } from './health.js';
import { issueTicket } from './issue_ticket.js';
import { repeat } from './live.js';
import { button, heading, id, named, table, when } from './parts.js';
import { revokeTenant } from './revoke.js';

export const tenantsPage = {
  title: 'Tenants',
  run: (context) => repeat(2_000, context.signal, async () => {
    const names = ['tenants', 'grants', 'sessions'];
    const [rows, grants, mounts] = await Promise.all(names.map((name) => list(`/v1/${name}`, {}, context.signal)));
    const of = (items, slug) => items.filter((item) => item.tenant_slug === slug);
    const standing = (slug) => of(grants, slug).filter((grant) => stateOf(grant) === 'stands').length;
    const link = (page, slug, text) => h('a', { href: `#/${page}?tenant=${encodeURIComponent(slug)}` }, text);
    const columns = [
      { title: 'Tenant', class: 'wide', cell: (tenant) => named(tenant.slug, id(tenant.id)) },
      { title: 'External id', class: 'wide', cell: (tenant) => tenant.external_id ?? '–' },
      { title: 'Metadata', class: 'wide', cell: (tenant) => metadata(tenant.metadata) },
      ...(rows.some((tenant) => tenant.quota_bytes) ? [{ title: 'Quota', cell: (tenant) => bytes(tenant.quota_bytes), class: 'number' }] : []),
      { title: 'Standing grants', cell: ({ slug }) => link('grants', slug, count(standing(slug))), class: 'number' },
      { title: 'Mounts', cell: ({ slug }) => link('mounts', slug, count(of(mounts, slug).length)), class: 'number' },
      { title: 'Made', cell: (tenant) => when(tenant.created_at) },
      {
        title: 'Actions',
        hidden: true,
        class: 'does',
        cell: ({ slug }) => [
          button('Issue ticket', () => issueTicket(context, { tenant: slug })),
          standing(slug) > 0 && button('Revoke all', () => revokeTenant(slug), 'danger'),
        ],
      },
    ];
    context.show(
      heading('Tenants', button('Issue ticket', () => issueTicket(context), 'primary')),
      table({ name: 'Tenants', columns, rows, key: (tenant) => tenant.id, empty: 'No tenants. The first ticket for one makes it.' }),
    );
  }),
};

function metadata(of) {
  const all = Object.entries(of ?? {});
  if (all.length === 0) return '–';
  return all.map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ');
}
