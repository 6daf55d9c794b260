from __future__ import annotations

from typing import Optional, cast

from .._address import segment
from .._call import Call
from .._quotas import KEEP, Quota, quotas
from .._types import DeletedSnapshot, DeletedWorkspace, Snapshot, Workspace, WorkspaceStorage
from .pages import Paginated
from .transport import Transport
from .workspace_paths import WorkspacePaths


class Workspaces:
    """File systems. Each is named ``name``, ``handle/name`` or ``artifacts://handle/name``."""

    def __init__(self, transport: Transport, paths: WorkspacePaths) -> None:
        self._transport = transport
        self._paths = paths

    def create(
        self,
        name: str,
        *,
        tenant_slug: Optional[str] = None,
        quota_bytes: Optional[int] = None,
        quota_inodes: Optional[int] = None,
        region: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Workspace:
        """Makes a workspace, ready to be mounted. Raises ``WorkspaceExistsError`` if there is one.

        ``tenant_slug``: the tenant whose quotas it is given a part of; must exist.
        """
        body = {
            "name": name,
            "tenant_slug": tenant_slug,
            "quota_bytes": quota_bytes,
            "quota_inodes": quota_inodes,
            "region": region,
        }
        call = Call("POST", "/v1/workspaces", json=body)
        return cast(Workspace, self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    def get(self, workspace: str, *, timeout: Optional[float] = None) -> Workspace:
        """With what it holds now."""
        path = self._paths.of(workspace, timeout)
        return cast(Workspace, self._transport.json(Call("GET", path), timeout=timeout))

    def list(
        self, *, limit: Optional[int] = None, cursor: Optional[str] = None, timeout: Optional[float] = None
    ) -> Paginated[Workspace]:
        """By name."""
        return Paginated(self._transport, "/v1/workspaces", {}, limit=limit, cursor=cursor, timeout=timeout)

    def set_quotas(
        self, workspace: str, *, quota_bytes: Quota = KEEP, quota_inodes: Quota = KEEP, timeout: Optional[float] = None
    ) -> Workspace:
        """Changes how much it may hold; ``None`` lifts a quota. When this returns all mounts go by that.

        What it holds beyond a quota stays, and nothing is added.
        """
        path = self._paths.of(workspace, timeout)
        call = Call("PATCH", path, json=quotas(quota_bytes, quota_inodes))
        return cast(Workspace, self._transport.json(call, timeout=timeout))

    def delete(
        self, workspace: str, *, wait_ms: Optional[int] = None, timeout: Optional[float] = None
    ) -> DeletedWorkspace:
        """Ends its sessions, then removes its data in the background. The name is free once that is done."""
        path = self._paths.of(workspace, timeout)
        call = Call("DELETE", path, query={"wait_ms": wait_ms}, wait_ms=wait_ms)
        return cast(DeletedWorkspace, self._transport.json(call, timeout=timeout))

    def usage(self, workspace: str, *, timeout: Optional[float] = None) -> WorkspaceStorage:
        """What it holds, and what that takes in the store and in objects."""
        path = self._paths.of(workspace, timeout)
        return cast(WorkspaceStorage, self._transport.json(Call("GET", f"{path}/usage"), timeout=timeout))

    def snapshot(
        self,
        workspace: str,
        *,
        name: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Snapshot:
        """Takes a snapshot, named by the time unless a name is given. Copies no data.

        Raises ``SnapshotExistsError`` if there is one.
        """
        call = Call("POST", f"{self._paths.of(workspace, timeout)}/snapshots", json={"name": name})
        return cast(Snapshot, self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    def list_snapshots(
        self,
        workspace: str,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Paginated[Snapshot]:
        """By name."""

        def where() -> str:
            return f"{self._paths.of(workspace, timeout)}/snapshots"

        return Paginated(self._transport, where, {}, limit=limit, cursor=cursor, timeout=timeout)

    def get_snapshot(self, workspace: str, snapshot: str, *, timeout: Optional[float] = None) -> Snapshot:
        """A snapshot by its name or id."""
        path = self._snapshot(workspace, snapshot, timeout)
        return cast(Snapshot, self._transport.json(Call("GET", path), timeout=timeout))

    def delete_snapshot(
        self, workspace: str, snapshot: str, *, wait_ms: Optional[int] = None, timeout: Optional[float] = None
    ) -> DeletedSnapshot:
        """Ends its sessions, then removes it in the background. Forks of it stay whole."""
        path = self._snapshot(workspace, snapshot, timeout)
        call = Call("DELETE", path, query={"wait_ms": wait_ms}, wait_ms=wait_ms)
        return cast(DeletedSnapshot, self._transport.json(call, timeout=timeout))

    def fork(
        self,
        workspace: str,
        name: str,
        *,
        snapshot: Optional[str] = None,
        quota_bytes: Optional[int] = None,
        quota_inodes: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Workspace:
        """Makes a workspace that begins with what this one, or a snapshot of it, holds.

        Copies no data; from then on neither sees what happens in the other. ``snapshot``: its name or id.
        """
        body = {"name": name, "snapshot": snapshot, "quota_bytes": quota_bytes, "quota_inodes": quota_inodes}
        call = Call("POST", f"{self._paths.of(workspace, timeout)}/fork", json=body)
        return cast(Workspace, self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    def _snapshot(self, workspace: str, snapshot: str, timeout: Optional[float]) -> str:
        return f"{self._paths.of(workspace, timeout)}/snapshots/{segment(snapshot)}"
