"""What the API answers, field by field as it answers it. Times are RFC 3339 in UTC. Newer nodes may add fields."""

from __future__ import annotations

from typing import Any, Dict, Generic, List, Literal, Optional, TypeVar

from typing_extensions import NotRequired, TypedDict

__all__ = [
    "Account",
    "AccountCell",
    "AccountCells",
    "ApiKey",
    "AuditActor",
    "AuditEvent",
    "AuditKind",
    "AuditNews",
    "CellPart",
    "CreatedApiKey",
    "CreatedMeshCredential",
    "CreatedMountTicket",
    "DeletedSnapshot",
    "DeletedTenant",
    "DeletedWorkspace",
    "EndedSession",
    "EverythingRevoked",
    "FencedSessions",
    "FileEntry",
    "Grant",
    "HeldLock",
    "KeyScope",
    "Lock",
    "LockEvent",
    "LockEventData",
    "LockHolder",
    "LockMode",
    "LockParty",
    "LockWaiter",
    "MeshCredential",
    "Mode",
    "Page",
    "RegionNode",
    "ReleasedLock",
    "RevokedApiKey",
    "RevokedGrants",
    "Session",
    "Snapshot",
    "Tenant",
    "TenantUsage",
    "TicketFile",
    "UsageBody",
    "UsageItem",
    "UsageTotal",
    "Whoami",
    "Workspace",
    "WorkspaceStatus",
    "WorkspaceStorage",
    "WorkspaceUsage",
]

T = TypeVar("T")

#: What a grant, a ticket, a session or a key allows; the control nodes enforce it.
Mode = Literal["ro", "rw"]

#: ``creating`` while it is copied from another; ``deleting`` while its data is being removed, then it is gone.
WorkspaceStatus = Literal["creating", "active", "deleting", "deleted"]

#: What has happened.
AuditKind = Literal[
    "account_created",
    "api_key_created",
    "api_key_revoked",
    "mesh_credential_created",
    "mesh_credential_revoked",
    "tenant_created",
    "tenant_changed",
    "tenant_deleted",
    "workspace_created",
    "workspace_changed",
    "workspace_deleted",
    "workspace_removed",
    "grant_created",
    "grant_revoked",
    "ticket_issued",
    "session_opened",
    "session_ended",
    "session_revoked",
    "session_fenced",
    "session_out",
    "everything_revoked",
]

#: How a lock is held: by one, by many, or by as many as there are permits.
LockMode = Literal["exclusive", "shared", "semaphore"]


class Page(TypedDict, Generic[T]):
    """A part of a list."""

    items: List[T]
    #: Give this as ``cursor`` to go on; ``None`` at the end.
    next_cursor: Optional[str]


class Tenant(TypedDict):
    """One of the platform's customers."""

    #: ``ten_…``
    id: str
    #: Unique in the account.
    slug: str
    #: The platform's own id for it.
    external_id: NotRequired[str]
    #: The platform's own data.
    metadata: NotRequired[Dict[str, Any]]
    #: What its workspaces may be given together.
    quota_bytes: NotRequired[int]
    quota_inodes: NotRequired[int]
    created_at: str


class TenantUsage(TypedDict):
    """What a tenant's workspaces hold together, and what they have been given of its quotas."""

    tenant_slug: str
    workspaces: int
    bytes: int
    inodes: int
    given_bytes: int
    given_inodes: int
    quota_bytes: NotRequired[int]
    quota_inodes: NotRequired[int]


class Grant(TypedDict):
    """The right of a tenant, or of one of its runtimes, to mount a workspace."""

    #: ``grt_…``
    id: str
    #: ``handle/name``.
    workspace: str
    tenant_slug: str
    #: For which of its runtimes; absent: for all.
    runtime_id: NotRequired[str]
    mode: Mode
    #: Below which directory; absent: everywhere.
    subpath: NotRequired[str]
    created_at: str
    expires_at: NotRequired[str]
    revoked_at: NotRequired[str]


class FencedSessions(TypedDict):
    """What became of the sessions that a call ended."""

    #: Those that stood on what was revoked.
    matched: int
    #: Those of which the control nodes accept nothing any more.
    fenced: int
    #: Those whose mount confirmed within ``wait_ms`` that every call fails.
    confirmed: int


class RevokedGrants(TypedDict):
    """What a revoke call took away."""

    grants: List[Grant]
    sessions: FencedSessions


class DeletedTenant(TypedDict):
    """What deleting a tenant took away."""

    tenant: Tenant
    grants: List[Grant]
    sessions: FencedSessions


class TicketFile(TypedDict):
    """The file that a runtime mounts with; inject it as it is."""

    version: int
    #: ``tkt_…``
    id: str
    workspace: str
    mode: Mode
    expires_at: str
    endpoints: List[str]
    #: The compact JWS; its claims are the authority, the fields around it are for people.
    token: str


class CreatedMountTicket(TypedDict):
    """A new mount ticket."""

    mount_ticket: TicketFile


class Session(TypedDict):
    """A mount."""

    #: ``ses_…``
    id: str
    workspace: str
    tenant_slug: NotRequired[str]
    runtime_id: NotRequired[str]
    grant_id: NotRequired[str]
    ticket_id: NotRequired[str]
    key_id: NotRequired[str]
    mode: Mode
    #: The machine, as it calls itself.
    host: str
    agent: str
    remote_addr: str
    #: ``lapsed``: not heard for a lease; it may come back as long as nobody was given its place.
    state: Literal["live", "lapsed"]
    connected: bool
    opened_at: str
    last_heard_at: str
    #: Until when it is kept if its agent is not heard again.
    lease_ends_at: str
    expires_at: NotRequired[str]


class EndedSession(TypedDict):
    """A session that was ended."""

    session: Session
    sessions: FencedSessions


class WorkspaceUsage(TypedDict):
    """What a workspace holds."""

    bytes: int
    inodes: int


class Workspace(TypedDict):
    """A file system."""

    #: ``ws_…``
    id: str
    name: str
    handle: str
    #: ``handle/name``.
    address: str
    status: WorkspaceStatus
    #: The tenant whose quotas it is given a part of.
    tenant_slug: NotRequired[str]
    region: str
    quota_bytes: NotRequired[int]
    quota_inodes: NotRequired[int]
    #: What it is a fork of, as that was called then.
    forked_from: NotRequired[str]
    #: Absent while its region is out of reach.
    usage: NotRequired[WorkspaceUsage]
    created_at: str


class DeletedWorkspace(Workspace):
    """A workspace whose deletion has begun."""

    sessions: FencedSessions


class WorkspaceStorage(TypedDict):
    """What a workspace holds, and what it takes in the store and in objects."""

    workspace: str
    bytes: int
    inodes: int
    quota_bytes: NotRequired[int]
    quota_inodes: NotRequired[int]
    inline_bytes: int
    segments: int
    stored_bytes: int
    live_bytes: int
    dead_segments: int


class UsageTotal(TypedDict):
    """What workspaces hold together."""

    workspaces: int
    bytes: int
    inodes: int


class UsageItem(TypedDict):
    """What one workspace holds."""

    workspace: str
    bytes: int
    inodes: int


class UsageBody(TypedDict):
    """A page of usage."""

    #: Only in the first page.
    total: NotRequired[UsageTotal]
    items: List[UsageItem]
    next_cursor: Optional[str]


class HeldLock(TypedDict):
    """A lock that is held."""

    #: ``lck_…``; renews and releases it.
    lock_id: str
    #: Greater than every one given in the workspace before. Hand it to what the lock protects, to refuse latecomers.
    fencing_token: int
    expires_at: str


class ReleasedLock(TypedDict):
    """A lock that was given back."""

    lock_id: str


class LockParty(TypedDict):
    """Who holds a lock or waits for one."""

    lock_id: NotRequired[str]
    taken_by: NotRequired[str]
    owner: NotRequired[str]
    note: NotRequired[str]
    session: NotRequired[str]
    pid: NotRequired[int]
    first_byte: NotRequired[int]
    last_byte: NotRequired[int]


class LockHolder(LockParty):
    """Who has a lock."""

    mode: LockMode
    permits: NotRequired[int]
    fencing_token: int
    since: str
    age_ms: int
    expires_at: NotRequired[str]


class LockWaiter(LockParty):
    """Who waits for a lock."""

    mode: LockMode
    permits: NotRequired[int]
    since: str
    age_ms: int


class Lock(TypedDict):
    """Something that is locked: a name, or a file by programs on mounts."""

    kind: Literal["named", "flock", "fcntl"]
    name: NotRequired[str]
    inode: NotRequired[int]
    holders: List[LockHolder]
    #: In the order in which they came.
    waiters: List[LockWaiter]


class LockEventData(TypedDict):
    """What an event of a lock tells."""

    lock: str
    mode: LockMode
    permits: NotRequired[int]
    owner: NotRequired[str]
    note: NotRequired[str]
    fencing_token: NotRequired[int]
    at: str


class Account(TypedDict):
    """An account: the root user, who owns everything else."""

    #: ``acc_…``
    id: str
    handle: str
    region: str
    created_at: str


class KeyScope(TypedDict):
    """What an API key is confined to."""

    workspace: NotRequired[str]
    tenant: NotRequired[str]
    mode: NotRequired[Mode]


class Whoami(TypedDict):
    """Whose key is used."""

    account: Account
    key_id: str
    #: Absent when the key is not confined.
    scope: NotRequired[KeyScope]


class ApiKey(TypedDict):
    """An API key."""

    #: ``key_…``
    id: str
    name: NotRequired[str]
    scope: NotRequired[KeyScope]
    created_at: str
    expires_at: NotRequired[str]
    revoked_at: NotRequired[str]


class CreatedApiKey(ApiKey):
    """A new API key."""

    #: The secret; shown only here.
    key: str


class RevokedApiKey(TypedDict):
    """An API key that was revoked, and what became of the sessions that it had opened."""

    api_key: ApiKey
    sessions: FencedSessions


class MeshCredential(TypedDict):
    """What lets agents of hosts into the mesh."""

    #: ``key_…``
    id: str
    name: NotRequired[str]
    created_at: str
    expires_at: NotRequired[str]
    revoked_at: NotRequired[str]


class CreatedMeshCredential(MeshCredential):
    """A new mesh credential."""

    #: The secret; shown only here.
    secret: str
    #: Where agents connect to.
    endpoints: List[str]


class LockEvent(TypedDict):
    """An event of a lock."""

    #: ``acquired``, ``released``, ``expired``, ``revoked``, ``waiting``, ``gave_up``; ``ready``: all that happens from now on follows;
    #: ``gap``: events are lost, list the locks.
    type: Literal["ready", "gap", "acquired", "released", "expired", "revoked", "waiting", "gave_up"]
    id: str
    #: Of ``ready`` and ``gap``.
    message: NotRequired[str]
    #: Of all others: which lock, and what :class:`LockEventData` tells.
    lock: NotRequired[str]
    mode: NotRequired[LockMode]
    permits: NotRequired[int]
    owner: NotRequired[str]
    note: NotRequired[str]
    fencing_token: NotRequired[int]
    at: NotRequired[str]


class EverythingRevoked(TypedDict):
    """That everything an account had handed out was revoked."""

    revoked_at: NotRequired[str]
    #: The only API key that still opens anything: the one of the call.
    kept_key_id: str
    sessions: FencedSessions


class AuditActor(TypedDict):
    """Who did it: whoever bears an API key or a mount ticket, the operator, or a control node by itself."""

    kind: Literal["api_key", "ticket", "operator", "node"]
    key_id: NotRequired[str]
    ticket_id: NotRequired[str]


class AuditEvent(TypedDict):
    """An entry of the audit trail."""

    #: ``aud_…``
    id: str
    #: When it happened.
    at: str
    kind: AuditKind
    by: AuditActor
    #: ``handle/name``, or a snapshot ``handle/name@snapshot``.
    workspace: NotRequired[str]
    #: What it is a copy of, as that was called then.
    copied_from: NotRequired[str]
    tenant_slug: NotRequired[str]
    runtime_id: NotRequired[str]
    grant_id: NotRequired[str]
    ticket_id: NotRequired[str]
    session_id: NotRequired[str]
    #: Which API key it is about, or opened the session.
    key_id: NotRequired[str]
    mode: NotRequired[Mode]
    expires_at: NotRequired[str]
    #: The machine that has mounted, as it calls itself.
    host: NotRequired[str]
    remote_addr: NotRequired[str]
    #: Why.
    reason: NotRequired[str]
    #: Of a session that was fenced: what it stood on that was revoked.
    revoked: NotRequired[Literal["grant", "session", "api_key", "workspace", "everything"]]
    #: Of a mount that is out: whether it has confirmed that every call fails, or its lease is over.
    how: NotRequired[Literal["confirmed", "lease_ended"]]
    #: Of a session that was fenced, and of its mount that is out: how many milliseconds after the revocation was recorded.
    after_ms: NotRequired[int]


class RegionNode(TypedDict):
    """A node, as all accounts may know it."""

    name: str
    #: ``joining``, ``serving``, ``stranded``, ``leaving``, ``silent`` or ``unknown``.
    state: str


class CellPart(TypedDict):
    """A node of a cell."""

    name: str
    #: Whether it has said that it takes part.
    takes_part: bool


class AccountCell(TypedDict):
    """A cell: hosts of one account, and up to two nodes, that gossip with each other."""

    #: ``cell-…``
    id: str
    #: How many hosts are in it.
    hosts: int
    #: The nodes that are to take part.
    nodes: List[CellPart]
    #: How long ago the host that was heard last asked for its cell.
    latest_ms: int
    #: The same of the host that has been silent longest.
    longest_ms: int


class AccountCells(TypedDict):
    """The cells in which the hosts of an account gossip, and the nodes of their region."""

    region: str
    nodes: List[RegionNode]
    #: The most hosts of a cell.
    hosts_max: int
    cells: List[AccountCell]


class AuditNews(TypedDict):
    """What a stream of the audit trail tells."""

    #: ``ready``: all that comes to the trail from now on follows.
    type: Literal["ready", "entry"]
    #: Where in the trail it stands: ``last_event_id`` of whoever goes on behind it.
    id: str
    #: Of ``entry``.
    entry: NotRequired[AuditEvent]


class FileEntry(TypedDict):
    """Something in a workspace."""

    #: From the root; what is no UTF-8 in it shows as U+FFFD.
    path: str
    #: The path as it goes into an address; only if it is no UTF-8.
    encoded_path: NotRequired[str]
    kind: Literal["file", "directory", "symlink", "special"]
    #: Length in bytes; of a directory how many entries it has.
    size: int
    #: Permission bits in octal, as in ``0644``.
    mode: str
    uid: int
    gid: int
    modified_at: str
    #: Tells its state from all others: for ``if_match`` and ``if_none_match``.
    etag: str


class Snapshot(TypedDict):
    """What a workspace held at one moment. It can be mounted (``ro``), by its address, and forked."""

    #: ``snp_…``
    id: str
    #: Unique in the workspace.
    name: str
    #: ``handle/name``.
    workspace: str
    #: ``handle/name@snapshot``.
    address: str
    status: WorkspaceStatus
    created_at: str


class DeletedSnapshot(Snapshot):
    """A snapshot whose deletion has begun."""

    sessions: FencedSessions
