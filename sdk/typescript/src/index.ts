export { Artifacts } from './artifacts.js';
export type { ApiKeys, CreateApiKeyOptions } from './api-keys.js';
export type { Audit, AuditEntry, AuditFilter, AuditReady } from './audit.js';
export * from './errors.js';
export { FileContent, type Files, type ReadOptions, type WriteOptions } from './files.js';
export type { Holding } from './holding.js';
export type { LockChange, LockEvent, LockNotice } from './lock-events.js';
export type { AcquireOptions, Locks } from './locks.js';
export type { CreateMeshCredentialOptions, MeshCredentials } from './mesh-credentials.js';
export type { ArtifactsOptions, PostOptions, RequestOptions } from './options.js';
export type { Page, PageOptions, Paginated } from './pages.js';
export type {
  AccessFilter,
  CreateAccessGrantOptions,
  CreateMountTicketOptions,
  CreateTenantOptions,
  Platform,
  QuotaChange,
  RevokeAccessGrantsOptions,
  WaitOptions,
} from './platform.js';
export type * from './types.js';
export type { Content } from './transport.js';
export { VERSION } from './version.js';
export type { CreateWorkspaceOptions, ForkOptions, Workspaces } from './workspaces.js';
