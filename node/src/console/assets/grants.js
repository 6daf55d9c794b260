import { list } from './api.js';
import { h } from './dom.js';
import { count } from './format.js';
import { stateOf } from './health.js';
import { issueTicket } from './issue_ticket.js';
import { repeat } from './live.js';
import { allOr, button, chip, filter, heading, id, mode, named, table, when, workspaceLink } from './parts.js';
import { revokeGrant } from './revoke.js';

const STATES = [['stands', 'standing'], ['all', 'all'], ['revoked', 'revoked'], ['expired', 'expired']];
const KINDS = { stands: 'good', expired: 'quiet', revoked: 'bad' };

export const grantsPage = {
  title: 'Grants',
  run: (context) => repeat(1_000, context.signal, async () => {
    const tenant = context.query.get('tenant');
    const names = ['grants', 'sessions', 'tenants'];
    const [all, mounts, tenants] = await Promise.all(
      names.map((name) => list(`/v1/${name}`, name === 'tenants' ? {} : { tenant_slug: tenant }, context.signal)),
    );
    const state = context.query.get('state') ?? 'stands';
    const rows = all.filter((grant) => state === 'all' || stateOf(grant) === state);
    context.show(
      heading('Grants', button('Issue ticket', () => issueTicket(context, { tenant }), 'primary')),
      h('div', { class: 'filters' },
        filter(context, 'tenant', 'Tenant', allOr(tenants.map(({ slug }) => slug))),
        filter(context, 'state', 'State', STATES)),
      grantTable(context, Object.assign(rows, { more: all.more }), mounts),
    );
  }),
};

/** The grants in a table, each with what revokes it. */
export function grantTable(context, rows, mounts, without = []) {
  const columns = [
    { title: 'State', cell: (grant) => chip(KINDS[stateOf(grant)], stateOf(grant)) },
    { title: 'For', class: 'wide', cell: (grant) => named(`${grant.tenant_slug} / ${grant.runtime_id ?? 'all runtimes'}`, id(grant.id)) },
    { title: 'Workspace', class: 'wide', cell: (grant) => (grant.subpath ? named(workspaceLink(grant.workspace), `below ${grant.subpath}`) : workspaceLink(grant.workspace)) },
    { title: 'Mode', cell: (grant) => mode(grant.mode) },
    { title: 'Mounts', cell: (grant) => count(mounts.filter((session) => session.grant_id === grant.id).length), class: 'number' },
    { title: 'Made', cell: (grant) => when(grant.created_at) },
    { title: 'Ends', cell: (grant) => (grant.revoked_at ? when(grant.revoked_at) : grant.expires_at ? when(grant.expires_at) : 'when revoked') },
    { title: 'Actions', hidden: true, class: 'does', cell: (grant) => stateOf(grant) === 'stands' && button('Revoke', () => revokeGrant(grant), 'danger') },
  ];
  return table({
    name: 'Grants',
    columns: columns.filter(({ title }) => !without.includes(title)),
    rows,
    key: (grant) => grant.id,
    empty: 'No grants.',
  });
}
