// What the API answers, field by field as it answers it. Times are RFC 3339 in UTC. Newer nodes may add fields.

/** What a grant, a ticket, a session or a key allows; the control nodes enforce it. */
export type Mode = 'ro' | 'rw';

/** One of the platform's customers. */
export interface Tenant {
  /** `ten_…` */
  id: string;
  /** Unique in the account. */
  slug: string;
  /** The platform's own id for it. */
  external_id?: string;
  /** The platform's own data. */
  metadata?: Record<string, unknown>;
  /** What its workspaces may be given together. */
  quota_bytes?: number;
  quota_inodes?: number;
  created_at: string;
}

/** What a tenant's workspaces hold together, and what they have been given of its quotas. */
export interface TenantUsage {
  tenant_slug: string;
  workspaces: number;
  bytes: number;
  inodes: number;
  given_bytes: number;
  given_inodes: number;
  quota_bytes?: number;
  quota_inodes?: number;
}

/** The right of a tenant, or of one of its runtimes, to mount a workspace. */
export interface Grant {
  /** `grt_…` */
  id: string;
  /** `handle/name`. */
  workspace: string;
  tenant_slug: string;
  /** For which of its runtimes; absent: for all. */
  runtime_id?: string;
  mode: Mode;
  /** Below which directory; absent: everywhere. */
  subpath?: string;
  created_at: string;
  expires_at?: string;
  revoked_at?: string;
}

/** What became of the sessions that a call ended. */
export interface FencedSessions {
  /** Those that stood on what was revoked. */
  matched: number;
  /** Those of which the control nodes accept nothing any more. */
  fenced: number;
  /** Those whose mount confirmed within `waitMs` that every call fails. */
  confirmed: number;
}

/** What a revoke call took away. */
export interface RevokedGrants {
  grants: Grant[];
  sessions: FencedSessions;
}

/** What deleting a tenant took away. */
export interface DeletedTenant {
  tenant: Tenant;
  grants: Grant[];
  sessions: FencedSessions;
}

/** The file that a runtime mounts with; inject it as it is. */
export interface TicketFile {
  version: number;
  /** `tkt_…` */
  id: string;
  workspace: string;
  mode: Mode;
  expires_at: string;
  endpoints: string[];
  /** The compact JWS; its claims are the authority, the fields around it are for people. */
  token: string;
}

/** A new mount ticket. */
export interface CreatedMountTicket {
  mount_ticket: TicketFile;
}

/** A mount. */
export interface Session {
  /** `ses_…` */
  id: string;
  workspace: string;
  tenant_slug?: string;
  runtime_id?: string;
  grant_id?: string;
  ticket_id?: string;
  key_id?: string;
  mode: Mode;
  /** The machine, as it calls itself. */
  host: string;
  agent: string;
  remote_addr: string;
  /** `lapsed`: not heard for a lease; it may come back as long as nobody was given its place. */
  state: 'live' | 'lapsed';
  connected: boolean;
  opened_at: string;
  last_heard_at: string;
  /** Until when it is kept if its agent is not heard again. */
  lease_ends_at: string;
  expires_at?: string;
}

/** A session that was ended. */
export interface EndedSession {
  session: Session;
  sessions: FencedSessions;
}

/** What a workspace holds. */
export interface WorkspaceUsage {
  bytes: number;
  inodes: number;
}

/** `creating` while it is copied from another; `deleting` while its data is being removed, then it is gone. */
export type WorkspaceStatus = 'creating' | 'active' | 'deleting' | 'deleted';

/** A file system. */
export interface Workspace {
  /** `ws_…` */
  id: string;
  name: string;
  handle: string;
  /** `handle/name`. */
  address: string;
  status: WorkspaceStatus;
  /** The tenant whose quotas it is given a part of. */
  tenant_slug?: string;
  region: string;
  quota_bytes?: number;
  quota_inodes?: number;
  /** What it is a fork of, as that was called then. */
  forked_from?: string;
  /** Absent while its region is out of reach. */
  usage?: WorkspaceUsage;
  created_at: string;
}

/** A workspace whose deletion has begun. */
export interface DeletedWorkspace extends Workspace {
  sessions: FencedSessions;
}

/** What a workspace holds, and what it takes in the store and in objects. */
export interface WorkspaceStorage {
  workspace: string;
  bytes: number;
  inodes: number;
  quota_bytes?: number;
  quota_inodes?: number;
  inline_bytes: number;
  segments: number;
  stored_bytes: number;
  live_bytes: number;
  dead_segments: number;
}

/** What workspaces hold together. */
export interface UsageTotal {
  workspaces: number;
  bytes: number;
  inodes: number;
}

/** What one workspace holds. */
export interface UsageItem {
  workspace: string;
  bytes: number;
  inodes: number;
}

/** A page of usage. */
export interface UsageBody {
  /** Only in the first page. */
  total?: UsageTotal;
  items: UsageItem[];
  next_cursor: string | null;
}

/** How a lock is held: by one, by many, or by as many as there are permits. */
export type LockMode = 'exclusive' | 'shared' | 'semaphore';

/** A lock that is held. */
export interface HeldLock {
  /** `lck_…`; renews and releases it. */
  lock_id: string;
  /** Greater than every one given in the workspace before. Hand it to what the lock protects, to refuse latecomers. */
  fencing_token: number;
  expires_at: string;
}

/** A lock that was given back. */
export interface ReleasedLock {
  lock_id: string;
}

/** Who holds a lock or waits for one. */
export interface LockParty {
  lock_id?: string;
  taken_by?: string;
  owner?: string;
  note?: string;
  session?: string;
  pid?: number;
  first_byte?: number;
  last_byte?: number;
}

/** Who has a lock. */
export interface LockHolder extends LockParty {
  mode: LockMode;
  permits?: number;
  fencing_token: number;
  since: string;
  age_ms: number;
  expires_at?: string;
}

/** Who waits for a lock. */
export interface LockWaiter extends LockParty {
  mode: LockMode;
  permits?: number;
  since: string;
  age_ms: number;
}

/** Something that is locked: a name, or a file by programs on mounts. */
export interface Lock {
  kind: 'named' | 'flock' | 'fcntl';
  name?: string;
  inode?: number;
  holders: LockHolder[];
  /** In the order in which they came. */
  waiters: LockWaiter[];
}

/** What an event of a lock tells. */
export interface LockEventData {
  lock: string;
  mode: LockMode;
  permits?: number;
  owner?: string;
  note?: string;
  fencing_token?: number;
  at: string;
}

/** An account: the root user, who owns everything else. */
export interface Account {
  /** `acc_…` */
  id: string;
  handle: string;
  region: string;
  created_at: string;
}

/** What an API key is confined to. */
export interface KeyScope {
  workspace?: string;
  tenant?: string;
  mode?: Mode;
}

/** Whose key is used. */
export interface Whoami {
  account: Account;
  key_id: string;
  /** Absent when the key is not confined. */
  scope?: KeyScope;
}

/** An API key. */
export interface ApiKey {
  /** `key_…` */
  id: string;
  name?: string;
  scope?: KeyScope;
  created_at: string;
  expires_at?: string;
  revoked_at?: string;
}

/** A new API key. */
export interface CreatedApiKey extends ApiKey {
  /** The secret; shown only here. */
  key: string;
}

/** An API key that was revoked, and what became of the sessions that it had opened. */
export interface RevokedApiKey {
  api_key: ApiKey;
  sessions: FencedSessions;
}

/** What lets agents of hosts into the mesh. */
export interface MeshCredential {
  /** `key_…` */
  id: string;
  name?: string;
  created_at: string;
  expires_at?: string;
  revoked_at?: string;
}

/** A new mesh credential. */
export interface CreatedMeshCredential extends MeshCredential {
  /** The secret; shown only here. */
  secret: string;
  /** Where agents connect to. */
  endpoints: string[];
}

/** That everything an account had handed out was revoked. */
export interface EverythingRevoked {
  revoked_at?: string;
  /** The only API key that still opens anything: the one of the call. */
  kept_key_id: string;
  sessions: FencedSessions;
}

/** What has happened. */
export type AuditKind =
  | 'account_created'
  | 'api_key_created'
  | 'api_key_revoked'
  | 'mesh_credential_created'
  | 'mesh_credential_revoked'
  | 'tenant_created'
  | 'tenant_changed'
  | 'tenant_deleted'
  | 'workspace_created'
  | 'workspace_changed'
  | 'workspace_deleted'
  | 'workspace_removed'
  | 'grant_created'
  | 'grant_revoked'
  | 'ticket_issued'
  | 'session_opened'
  | 'session_ended'
  | 'session_revoked'
  | 'session_fenced'
  | 'session_out'
  | 'everything_revoked';

/** Who did it: whoever bears an API key or a mount ticket, the operator, or a control node by itself. */
export interface AuditActor {
  kind: 'api_key' | 'ticket' | 'operator' | 'node';
  key_id?: string;
  ticket_id?: string;
}

/** An entry of the audit trail. */
export interface AuditEvent {
  /** `aud_…` */
  id: string;
  /** When it happened. */
  at: string;
  kind: AuditKind;
  by: AuditActor;
  /** `handle/name`, or a snapshot `handle/name@snapshot`. */
  workspace?: string;
  /** What it is a copy of, as that was called then. */
  copied_from?: string;
  tenant_slug?: string;
  runtime_id?: string;
  grant_id?: string;
  ticket_id?: string;
  session_id?: string;
  /** Which API key it is about, or opened the session. */
  key_id?: string;
  mode?: Mode;
  expires_at?: string;
  /** The machine that has mounted, as it calls itself. */
  host?: string;
  remote_addr?: string;
  /** Why. */
  reason?: string;
  /** Of a session that was fenced: what it stood on that was revoked. */
  revoked?: 'grant' | 'session' | 'api_key' | 'workspace' | 'everything';
  /** Of a mount that is out: whether it has confirmed that every call fails, or its lease is over. */
  how?: 'confirmed' | 'lease_ended';
  /** Of a session that was fenced, and of its mount that is out: how many milliseconds after the revocation was recorded. */
  after_ms?: number;
}

/** The cells in which the hosts of an account gossip, and the nodes of their region. */
export interface AccountCells {
  region: string;
  nodes: RegionNode[];
  /** The most hosts of a cell. */
  hosts_max: number;
  cells: AccountCell[];
}

/** A node, as all accounts may know it. */
export interface RegionNode {
  name: string;
  /** `joining`, `serving`, `stranded`, `leaving`, `silent` or `unknown`. */
  state: string;
}

/** A cell: hosts of one account, and up to two nodes, that gossip with each other. */
export interface AccountCell {
  /** `cell-…` */
  id: string;
  /** How many hosts are in it. */
  hosts: number;
  /** The nodes that are to take part, and whether each has said that it does. */
  nodes: CellPart[];
  /** How long ago the host that was heard last asked for its cell. */
  latest_ms: number;
  /** The same of the host that has been silent longest. */
  longest_ms: number;
}

export interface CellPart {
  name: string;
  takes_part: boolean;
}

/** Something in a workspace. */
export interface FileEntry {
  /** From the root; what is no UTF-8 in it shows as U+FFFD. */
  path: string;
  /** The path as it goes into an address; only if it is no UTF-8. */
  encoded_path?: string;
  kind: 'file' | 'directory' | 'symlink' | 'special';
  /** Length in bytes; of a directory how many entries it has. */
  size: number;
  /** Permission bits in octal, as in `0644`. */
  mode: string;
  uid: number;
  gid: number;
  modified_at: string;
  /** Tells its state from all others: for `ifMatch` and `ifNoneMatch`. */
  etag: string;
}

/** What a workspace held at one moment. It can be mounted (`ro`), by its address, and forked. */
export interface Snapshot {
  /** `snp_…` */
  id: string;
  /** Unique in the workspace. */
  name: string;
  /** `handle/name`. */
  workspace: string;
  /** `handle/name@snapshot`. */
  address: string;
  status: WorkspaceStatus;
  created_at: string;
}

/** A snapshot whose deletion has begun. */
export interface DeletedSnapshot extends Snapshot {
  sessions: FencedSessions;
}
