import { segment } from './address.js';
import type { PostOptions, RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import type { Transport } from './transport.js';
import type {
  CreatedMountTicket,
  DeletedTenant,
  EndedSession,
  EverythingRevoked,
  Grant,
  Mode,
  RevokedGrants,
  Session,
  Tenant,
  TenantUsage,
  UsageBody,
  UsageItem,
  UsageTotal,
} from './types.js';
import type { WorkspacePaths } from './workspace-paths.js';

export interface CreateTenantOptions extends PostOptions {
  /** Your own id for this customer. */
  externalId?: string;
  /** Your own data: at most 16 KiB as JSON. */
  metadata?: Record<string, unknown>;
  /** How many bytes of data its workspaces may be given together; each of them then needs a quota of its own. */
  quotaBytes?: number;
  /** How many inodes, likewise. */
  quotaInodes?: number;
}

/** What is left out stays as it is; null lifts a quota. */
export interface QuotaChange {
  /** Hard limit on bytes of data. */
  quotaBytes?: number | null;
  /** Hard limit on inodes. */
  quotaInodes?: number | null;
}

export interface CreateAccessGrantOptions extends PostOptions {
  /** For whom; must exist. */
  tenantSlug: string;
  /** For which of its runtimes; for all unless given. */
  runtimeId?: string;
  mode: Mode;
  /** How long it stands; until it is revoked unless given. */
  ttlSeconds?: number;
  /** Below which directory; everywhere unless given. */
  subpath?: string;
}

export interface CreateMountTicketOptions extends PostOptions {
  /** `name`, `handle/name` or `artifacts://handle/name`. */
  workspace: string;
  mode: Mode;
  /** How long the ticket lives: 1 to 86,400. */
  ttlSeconds: number;
  /** The directory that the mount sees as its root; the whole workspace unless given. */
  subpath?: string;
  /** Whether a session may go on after the ticket has run out, for as long as the grant stands. */
  renewable?: boolean;
}

/** What waits for mounts. */
export interface WaitOptions {
  /** How long to wait for mounts to confirm that every call fails, in milliseconds: 1,000 unless given, at most 10,000. */
  waitMs?: number;
}

export interface RevokeAccessGrantsOptions extends PostOptions, WaitOptions {
  tenantSlug: string;
  /** Those made for this runtime. Grants for all runtimes of the tenant stay. */
  runtimeId?: string;
  /** Those to this workspace. */
  workspace?: string;
}

/** Which grants or sessions. */
export interface AccessFilter {
  tenantSlug?: string;
  runtimeId?: string;
  workspace?: string;
}

/** Tenants, their grants and tickets, and what they have mounted. */
export class Platform {
  constructor(
    private readonly transport: Transport,
    private readonly paths: WorkspacePaths,
  ) {}

  /** Makes a tenant. Throws `TenantExistsError` if there is one. */
  createTenant(slug: string, options: CreateTenantOptions = {}): Promise<Tenant> {
    const { externalId: external_id, metadata, quotaBytes: quota_bytes, quotaInodes: quota_inodes } = options;
    const json = { slug, external_id, metadata, quota_bytes, quota_inodes };
    return this.transport.json({ method: 'POST', path: '/v1/tenants', json }, options);
  }

  /** Changes what a tenant's workspaces may be given together. Throws `QuotaExceededError` if they have been given more. */
  setTenantQuotas(slug: string, change: QuotaChange & RequestOptions): Promise<Tenant> {
    const json = { quota_bytes: change.quotaBytes, quota_inodes: change.quotaInodes };
    return this.transport.json({ method: 'PATCH', path: tenant(slug), json }, change);
  }

  /** What a tenant's workspaces hold together, and what they have been given of its quotas. */
  tenantUsage(slug: string, options: RequestOptions = {}): Promise<TenantUsage> {
    return this.transport.json({ method: 'GET', path: `${tenant(slug)}/usage` }, options);
  }

  getTenant(slug: string, options: RequestOptions = {}): Promise<Tenant> {
    return this.transport.json({ method: 'GET', path: tenant(slug) }, options);
  }

  /** By slug. */
  listTenants(options: PageOptions & RequestOptions = {}): Paginated<Tenant> {
    return this.#list('/v1/tenants', {}, options);
  }

  /** Deletes a tenant: revokes all its grants and ends their sessions. */
  deleteTenant(slug: string, options: WaitOptions & RequestOptions = {}): Promise<DeletedTenant> {
    const { waitMs } = options;
    return this.transport.json({ method: 'DELETE', path: tenant(slug), query: { wait_ms: waitMs }, waitMs }, options);
  }

  /** Grants a tenant, or one of its runtimes, a workspace. */
  async createAccessGrant(workspace: string, options: CreateAccessGrantOptions): Promise<Grant> {
    const { tenantSlug: tenant_slug, runtimeId: runtime_id, mode, ttlSeconds: ttl_seconds, subpath } = options;
    const path = `${await this.paths.of(workspace, options)}/grants`;
    return this.transport.json({ method: 'POST', path, json: { tenant_slug, runtime_id, mode, ttl_seconds, subpath } }, options);
  }

  /** A grant, in whatever state. */
  getAccessGrant(id: string, options: RequestOptions = {}): Promise<Grant> {
    return this.transport.json({ method: 'GET', path: `/v1/grants/${segment(id)}` }, options);
  }

  /** By tenant, each tenant's oldest first, revoked ones included. */
  listAccessGrants(options: AccessFilter & PageOptions & RequestOptions = {}): Paginated<Grant> {
    return this.#list('/v1/grants', filter(options), options);
  }

  /** Revokes one grant and ends its sessions. */
  revokeAccessGrant(id: string, options: WaitOptions & RequestOptions = {}): Promise<RevokedGrants> {
    const { waitMs } = options;
    return this.transport.json({ method: 'DELETE', path: `/v1/grants/${segment(id)}`, query: { wait_ms: waitMs }, waitMs }, options);
  }

  /**
   * Revokes the grants of a tenant, of one of its runtimes, or of either to one workspace, and ends their sessions. Answers once
   * that is durable and nothing of the sessions is accepted any more.
   */
  revokeAccessGrants(options: RevokeAccessGrantsOptions): Promise<RevokedGrants> {
    const { tenantSlug: tenant_slug, runtimeId: runtime_id, workspace, waitMs } = options;
    const json = { tenant_slug, runtime_id, workspace, wait_ms: waitMs };
    return this.transport.json({ method: 'POST', path: '/v1/grants/revoke', json, waitMs }, options);
  }

  /**
   * Takes away everything that the account has handed out: all grants with their tickets, all sessions, and all API keys but this one. What is
   * granted afterwards stands. For the moment in which a key or a backend is lost. Takes a key that has no scope.
   */
  revokeEverything(options: WaitOptions & PostOptions = {}): Promise<EverythingRevoked> {
    const { waitMs } = options;
    return this.transport.json({ method: 'POST', path: '/v1/account/revoke-everything', json: { wait_ms: waitMs }, waitMs }, options);
  }

  /** Signs a mount ticket for a runtime. Makes the tenant and a grant for this runtime if they are missing. */
  createMountTicket(tenantSlug: string, runtimeId: string, options: CreateMountTicketOptions): Promise<CreatedMountTicket> {
    const { workspace, mode, ttlSeconds: ttl_seconds, subpath, renewable } = options;
    const path = `${tenant(tenantSlug)}/runtimes/${segment(runtimeId)}/mount-tickets`;
    return this.transport.json({ method: 'POST', path, json: { workspace, mode, ttl_seconds, subpath, renewable } }, options);
  }

  /** Who has what mounted, oldest first. */
  listSessions(options: AccessFilter & PageOptions & RequestOptions = {}): Paginated<Session> {
    return this.#list('/v1/sessions', filter(options), options);
  }

  /** Ends a session. Its ticket may open another one for as long as it lives; revoke the grant to prevent that. */
  endSession(id: string, options: WaitOptions & RequestOptions = {}): Promise<EndedSession> {
    const { waitMs } = options;
    return this.transport.json({ method: 'DELETE', path: `/v1/sessions/${segment(id)}`, query: { wait_ms: waitMs }, waitMs }, options);
  }

  /** What each workspace of the account holds, or each that the standing grants of a tenant name. */
  listUsage(options: { tenantSlug?: string } & PageOptions & RequestOptions = {}): Paginated<UsageItem, UsageBody> {
    return this.#list('/v1/usage', { tenant_slug: options.tenantSlug }, options);
  }

  /** What they hold together. */
  async totalUsage(options: { tenantSlug?: string } & RequestOptions = {}): Promise<UsageTotal> {
    const { total } = await this.listUsage({ ...options, limit: 1 }).page();
    return total ?? { workspaces: 0, bytes: 0, inodes: 0 };
  }

  #list<T, P extends Page<T>>(
    path: string,
    query: Record<string, string | undefined>,
    options: PageOptions & RequestOptions,
  ): Paginated<T, P> {
    const fetchPage = (cursor: string | undefined) =>
      this.transport.json<P>({ method: 'GET', path, query: { ...query, limit: options.limit, cursor } }, options);
    return new Paginated(fetchPage, options.cursor);
  }
}

function tenant(slug: string): string {
  return `/v1/tenants/${segment(slug)}`;
}

function filter({ tenantSlug, runtimeId, workspace }: AccessFilter): Record<string, string | undefined> {
  return { tenant_slug: tenantSlug, runtime_id: runtimeId, workspace };
}
