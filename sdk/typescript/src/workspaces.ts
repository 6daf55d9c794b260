import { segment } from './address.js';
import type { PostOptions, RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import type { QuotaChange, WaitOptions } from './platform.js';
import type { Transport } from './transport.js';
import type { DeletedSnapshot, DeletedWorkspace, Snapshot, Workspace, WorkspaceStorage } from './types.js';
import type { WorkspacePaths } from './workspace-paths.js';

export interface CreateWorkspaceOptions extends PostOptions {
  /** The tenant whose quotas it is given a part of; must exist. */
  tenantSlug?: string;
  /** Hard limit on bytes of data. */
  quotaBytes?: number;
  /** Hard limit on inodes. */
  quotaInodes?: number;
  /** Where its data is to live; the account's region unless given. */
  region?: string;
}

export interface ForkOptions extends PostOptions {
  /** The name or id of a snapshot of the workspace; as it is now unless given. */
  snapshot?: string;
  /** Hard limit on bytes of data; that of the workspace unless given. */
  quotaBytes?: number;
  /** Hard limit on inodes; that of the workspace unless given. */
  quotaInodes?: number;
}

/** File systems. Each is named `name`, `handle/name` or `artifacts://handle/name`. */
export class Workspaces {
  constructor(
    private readonly transport: Transport,
    private readonly paths: WorkspacePaths,
  ) {}

  /** Makes a workspace, ready to be mounted. Throws `WorkspaceExistsError` if there is one. */
  create(name: string, options: CreateWorkspaceOptions = {}): Promise<Workspace> {
    const { tenantSlug: tenant_slug, quotaBytes: quota_bytes, quotaInodes: quota_inodes, region } = options;
    const json = { name, tenant_slug, quota_bytes, quota_inodes, region };
    return this.transport.json({ method: 'POST', path: '/v1/workspaces', json }, options);
  }

  /** With what it holds now. */
  async get(workspace: string, options: RequestOptions = {}): Promise<Workspace> {
    return this.transport.json({ method: 'GET', path: await this.paths.of(workspace, options) }, options);
  }

  /** By name. */
  list(options: PageOptions & RequestOptions = {}): Paginated<Workspace> {
    const fetchPage = (cursor: string | undefined) =>
      this.transport.json<Page<Workspace>>({ method: 'GET', path: '/v1/workspaces', query: { limit: options.limit, cursor } }, options);
    return new Paginated(fetchPage, options.cursor);
  }

  /** Changes how much it may hold; when this resolves all mounts go by that. What it holds beyond a quota stays, and nothing is added. */
  async setQuotas(workspace: string, change: QuotaChange & RequestOptions): Promise<Workspace> {
    const json = { quota_bytes: change.quotaBytes, quota_inodes: change.quotaInodes };
    return this.transport.json({ method: 'PATCH', path: await this.paths.of(workspace, change), json }, change);
  }

  /** Ends its sessions, then removes its data in the background. The name is free once that is done. */
  async delete(workspace: string, options: WaitOptions & RequestOptions = {}): Promise<DeletedWorkspace> {
    const { waitMs } = options;
    const path = await this.paths.of(workspace, options);
    return this.transport.json({ method: 'DELETE', path, query: { wait_ms: waitMs }, waitMs }, options);
  }

  /** What it holds, and what that takes in the store and in objects. */
  async usage(workspace: string, options: RequestOptions = {}): Promise<WorkspaceStorage> {
    return this.transport.json({ method: 'GET', path: `${await this.paths.of(workspace, options)}/usage` }, options);
  }

  /** Takes a snapshot, named by the time unless a name is given. Copies no data. Throws `SnapshotExistsError` if there is one. */
  async snapshot(workspace: string, options: { name?: string } & PostOptions = {}): Promise<Snapshot> {
    const path = `${await this.paths.of(workspace, options)}/snapshots`;
    return this.transport.json({ method: 'POST', path, json: { name: options.name } }, options);
  }

  /** By name. */
  listSnapshots(workspace: string, options: PageOptions & RequestOptions = {}): Paginated<Snapshot> {
    const fetchPage = async (cursor: string | undefined) => {
      const path = `${await this.paths.of(workspace, options)}/snapshots`;
      return this.transport.json<Page<Snapshot>>({ method: 'GET', path, query: { limit: options.limit, cursor } }, options);
    };
    return new Paginated(fetchPage, options.cursor);
  }

  /** A snapshot by its name or id. */
  async getSnapshot(workspace: string, snapshot: string, options: RequestOptions = {}): Promise<Snapshot> {
    return this.transport.json({ method: 'GET', path: await this.#snapshot(workspace, snapshot, options) }, options);
  }

  /** Ends its sessions, then removes it in the background. Forks of it stay whole. */
  async deleteSnapshot(workspace: string, snapshot: string, options: WaitOptions & RequestOptions = {}): Promise<DeletedSnapshot> {
    const { waitMs } = options;
    const path = await this.#snapshot(workspace, snapshot, options);
    return this.transport.json({ method: 'DELETE', path, query: { wait_ms: waitMs }, waitMs }, options);
  }

  /** Makes a workspace that begins with what this one, or a snapshot of it, holds. Copies no data; from then on neither sees what happens in the other. */
  async fork(workspace: string, name: string, options: ForkOptions = {}): Promise<Workspace> {
    const { snapshot, quotaBytes: quota_bytes, quotaInodes: quota_inodes } = options;
    const json = { name, snapshot, quota_bytes, quota_inodes };
    return this.transport.json({ method: 'POST', path: `${await this.paths.of(workspace, options)}/fork`, json }, options);
  }

  async #snapshot(workspace: string, snapshot: string, options: RequestOptions): Promise<string> {
    return `${await this.paths.of(workspace, options)}/snapshots/${segment(snapshot)}`;
  }
}
