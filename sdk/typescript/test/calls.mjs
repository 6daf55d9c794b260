// Every operation of the API by its id: how this client calls it, with everything that it can be given.

const WAIT = { waitMs: 5 };
const PAGE = { limit: 2, cursor: 'abc' };
const WHOSE = { tenantSlug: 'acme', runtimeId: 'run-1', workspace: 'acme/task-1' };

export const CALLS = {
  whoami: (client) => client.whoami(),

  create_api_key: async (client) => {
    // Two fields exclude each other; the node says so, not this client.
    await client.apiKeys.create({ name: 'ci', scope: { mode: 'ro' }, expiresAt: new Date(0), ttlSeconds: 60 });
  },
  list_api_keys: (client) => client.apiKeys.list(PAGE).page(),
  revoke_api_key: (client) => client.apiKeys.revoke('key_1', WAIT),

  create_mesh_credential: async (client) => {
    await client.meshCredentials.create({ name: 'host-7', expiresAt: new Date(0), ttlSeconds: 60 });
  },
  list_mesh_credentials: (client) => client.meshCredentials.list(PAGE).page(),
  revoke_mesh_credential: (client) => client.meshCredentials.revoke('key_1'),
  show_cells: (client) => client.meshCredentials.cells(),

  create_tenant: (client) => client.platform.createTenant('acme', { externalId: 'cus_42', metadata: { plan: 'pro' }, quotaBytes: 1, quotaInodes: 1 }),
  get_tenant: (client) => client.platform.getTenant('acme'),
  change_tenant: (client) => client.platform.setTenantQuotas('acme', { quotaBytes: 1, quotaInodes: 1 }),
  tenant_usage: (client) => client.platform.tenantUsage('acme'),
  list_tenants: (client) => client.platform.listTenants(PAGE).page(),
  delete_tenant: (client) => client.platform.deleteTenant('acme', WAIT),
  create_grant: (client) =>
    client.platform.createAccessGrant('acme/task-1', { tenantSlug: 'acme', runtimeId: 'run-1', mode: 'rw', ttlSeconds: 60, subpath: 'a' }),
  get_grant: (client) => client.platform.getAccessGrant('grt_1'),
  list_grants: (client) => client.platform.listAccessGrants({ ...WHOSE, ...PAGE }).page(),
  revoke_grant: (client) => client.platform.revokeAccessGrant('grt_1', WAIT),
  revoke_grants: (client) => client.platform.revokeAccessGrants({ ...WHOSE, ...WAIT }),
  revoke_everything: (client) => client.platform.revokeEverything(WAIT),
  create_mount_ticket: (client) =>
    client.platform.createMountTicket('acme', 'run-1', { workspace: 'acme/task-1', mode: 'rw', ttlSeconds: 60, subpath: 'a', renewable: true }),
  list_sessions: (client) => client.platform.listSessions({ ...WHOSE, ...PAGE }).page(),
  end_session: (client) => client.platform.endSession('ses_1', WAIT),
  usage: (client) => client.platform.listUsage({ tenantSlug: 'acme', ...PAGE }).page(),

  create_workspace: (client) => client.workspaces.create('task-1', { tenantSlug: 'acme', quotaBytes: 1, quotaInodes: 1, region: 'local' }),
  get_workspace: (client) => client.workspaces.get('acme/task-1'),
  list_workspaces: (client) => client.workspaces.list(PAGE).page(),
  change_workspace: (client) => client.workspaces.setQuotas('acme/task-1', { quotaBytes: 1, quotaInodes: 1 }),
  delete_workspace: (client) => client.workspaces.delete('artifacts://acme/task-1', WAIT),
  workspace_usage: (client) => client.workspaces.usage('acme/task-1'),

  create_snapshot: (client) => client.workspaces.snapshot('acme/task-1', { name: 'v1' }),
  list_snapshots: (client) => client.workspaces.listSnapshots('acme/task-1', PAGE).page(),
  get_snapshot: (client) => client.workspaces.getSnapshot('acme/task-1', 'v1'),
  delete_snapshot: (client) => client.workspaces.deleteSnapshot('acme/task-1', 'v1', WAIT),
  fork_workspace: (client) => client.workspaces.fork('acme/task-1', 'fork', { snapshot: 'v1', quotaBytes: 1, quotaInodes: 1 }),

  get_file: (client) => client.files.read('acme/task-1', 'a b/ü', { start: 0, end: 1, ifMatch: '"1"', ifNoneMatch: '"2"' }),
  put_file: (client) => client.files.write('acme/task-1', 'a/b', 'x', { ifMatch: '"1"', ifNoneMatch: '*', parents: true, mode: '0644' }),
  delete_file: (client) => client.files.delete('acme/task-1', 'a/b', { recursive: true, ifMatch: '"1"' }),
  list_files: (client) => client.files.list('acme/task-1', { path: 'a', recursive: true, ...PAGE }).page(),
  move_file: (client) => client.files.move('acme/task-1', 'a', 'b', { overwrite: true }),

  list_audit: (client) => client.audit.list({ ...WHOSE, kind: 'session_opened', since: new Date(0), ...PAGE }).page(),
  audit_events: (client) => first(client.audit.events({ ...WHOSE, kind: 'session_opened', lastEventId: '7' })),

  acquire_lock: (client) =>
    client.locks.acquire('acme/task-1', 'deploy', { mode: 'semaphore', permits: 2, ttlMs: 5000, waitMs: 5, note: 'n', owner: 'o' }),
  renew_lock: (client) => client.locks.renew('acme/task-1', 'deploy', { lockId: 'lck_1', ttlMs: 5000 }),
  release_lock: (client) => client.locks.release('acme/task-1', 'deploy', { lockId: 'lck_1' }),
  list_locks: (client) => client.locks.list('acme/task-1', PAGE).page(),
  lock_events: (client) => first(client.locks.events('acme/task-1', { lock: 'deploy', lastEventId: '7' })),
};

/** What the client leaves out, and why. */
export const NOT_CALLED = {
  create_account: 'takes the admin token of the node, which no platform backend holds; `artifacts platform account create`',
  show_cluster: 'takes the admin token of the node',
  rotate_signing_key: 'takes the admin token of the node; `artifacts node rotate-signing-key`',
  check_workspace: 'may take longer than `fetch` waits for an answer; `artifacts fsck`',
  healthz: 'for monitoring',
  readyz: 'for monitoring',
  metrics: 'for monitoring',
  jwks: 'for whoever checks tickets offline, with a library for JSON Web Keys',
  openapi: 'describes the others',
};

/** Headers that the client leaves out: an etag says more exactly what they say by the second. */
export const NOT_SENT = { get_file: ['if-range', 'if-modified-since'] };

async function first(iterator) {
  await iterator.next();
  await iterator.return();
}
