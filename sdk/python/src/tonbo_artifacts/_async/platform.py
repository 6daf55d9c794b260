from __future__ import annotations

from typing import Any, Mapping, Optional, cast

from .._address import segment
from .._call import Call
from .._quotas import KEEP, Quota, quotas
from .._types import (
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
    UsageItem,
    UsageTotal,
)
from .pages import AsyncPaginated
from .transport import AsyncTransport
from .workspace_paths import AsyncWorkspacePaths


class AsyncPlatform:
    """Tenants, their grants and tickets, and what they have mounted.

    Times in the API's units, as the names say. ``wait_ms``: how long to wait for mounts to confirm that every call
    fails; 1,000 unless given, at most 10,000.
    """

    def __init__(self, transport: AsyncTransport, paths: AsyncWorkspacePaths) -> None:
        self._transport = transport
        self._paths = paths

    async def create_tenant(
        self,
        slug: str,
        *,
        external_id: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        quota_bytes: Optional[int] = None,
        quota_inodes: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Tenant:
        """Makes a tenant. Raises ``TenantExistsError`` if there is one.

        ``quota_bytes``, ``quota_inodes``: what its workspaces may be given together; each of them then needs a quota of
        its own.
        """
        body = {
            "slug": slug,
            "external_id": external_id,
            "metadata": metadata,
            "quota_bytes": quota_bytes,
            "quota_inodes": quota_inodes,
        }
        call = Call("POST", "/v1/tenants", json=body)
        return cast(Tenant, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    async def get_tenant(self, slug: str, *, timeout: Optional[float] = None) -> Tenant:
        return cast(Tenant, await self._transport.json(Call("GET", _tenant(slug)), timeout=timeout))

    async def set_tenant_quotas(
        self, slug: str, *, quota_bytes: Quota = KEEP, quota_inodes: Quota = KEEP, timeout: Optional[float] = None
    ) -> Tenant:
        """Changes what a tenant's workspaces may be given together; ``None`` lifts a quota.

        Raises ``QuotaExceededError`` if they have been given more.
        """
        call = Call("PATCH", _tenant(slug), json=quotas(quota_bytes, quota_inodes))
        return cast(Tenant, await self._transport.json(call, timeout=timeout))

    async def tenant_usage(self, slug: str, *, timeout: Optional[float] = None) -> TenantUsage:
        """What a tenant's workspaces hold together, and what they have been given of its quotas."""
        return cast(TenantUsage, await self._transport.json(Call("GET", f"{_tenant(slug)}/usage"), timeout=timeout))

    def list_tenants(
        self, *, limit: Optional[int] = None, cursor: Optional[str] = None, timeout: Optional[float] = None
    ) -> AsyncPaginated[Tenant]:
        """By slug."""
        return AsyncPaginated(self._transport, "/v1/tenants", {}, limit=limit, cursor=cursor, timeout=timeout)

    async def delete_tenant(
        self, slug: str, *, wait_ms: Optional[int] = None, timeout: Optional[float] = None
    ) -> DeletedTenant:
        """Deletes a tenant: revokes all its grants and ends their sessions."""
        call = Call("DELETE", _tenant(slug), query={"wait_ms": wait_ms}, wait_ms=wait_ms)
        return cast(DeletedTenant, await self._transport.json(call, timeout=timeout))

    async def create_access_grant(
        self,
        workspace: str,
        *,
        tenant_slug: str,
        mode: Mode,
        runtime_id: Optional[str] = None,
        ttl_seconds: Optional[int] = None,
        subpath: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Grant:
        """Grants a tenant, or one of its runtimes, a workspace. Without ``ttl_seconds`` it stands until it is revoked."""
        body = {
            "tenant_slug": tenant_slug,
            "runtime_id": runtime_id,
            "mode": mode,
            "ttl_seconds": ttl_seconds,
            "subpath": subpath,
        }
        call = Call("POST", f"{await self._paths.of(workspace, timeout)}/grants", json=body)
        return cast(Grant, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    async def get_access_grant(self, id: str, *, timeout: Optional[float] = None) -> Grant:
        """A grant, in whatever state."""
        return cast(Grant, await self._transport.json(Call("GET", f"/v1/grants/{segment(id)}"), timeout=timeout))

    def list_access_grants(
        self,
        *,
        tenant_slug: Optional[str] = None,
        runtime_id: Optional[str] = None,
        workspace: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncPaginated[Grant]:
        """By tenant, each tenant's oldest first, revoked ones included."""
        query = {"tenant_slug": tenant_slug, "runtime_id": runtime_id, "workspace": workspace}
        return AsyncPaginated(self._transport, "/v1/grants", query, limit=limit, cursor=cursor, timeout=timeout)

    async def revoke_access_grant(
        self, id: str, *, wait_ms: Optional[int] = None, timeout: Optional[float] = None
    ) -> RevokedGrants:
        """Revokes one grant and ends its sessions."""
        call = Call("DELETE", f"/v1/grants/{segment(id)}", query={"wait_ms": wait_ms}, wait_ms=wait_ms)
        return cast(RevokedGrants, await self._transport.json(call, timeout=timeout))

    async def revoke_access_grants(
        self,
        *,
        tenant_slug: str,
        runtime_id: Optional[str] = None,
        workspace: Optional[str] = None,
        wait_ms: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> RevokedGrants:
        """Revokes the grants of a tenant, of one of its runtimes, or of either to one workspace, and ends their sessions.

        Answers once that is durable and nothing of the sessions is accepted any more.
        """
        body = {"tenant_slug": tenant_slug, "runtime_id": runtime_id, "workspace": workspace, "wait_ms": wait_ms}
        call = Call("POST", "/v1/grants/revoke", json=body, wait_ms=wait_ms)
        return cast(RevokedGrants, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    async def revoke_everything(
        self,
        *,
        wait_ms: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> EverythingRevoked:
        """Takes away everything that the account has handed out but this API key, which must have no scope.

        All grants with their tickets, all sessions, all other keys. What is granted afterwards stands. For the moment in
        which a key or a backend is lost.
        """
        call = Call("POST", "/v1/account/revoke-everything", json={"wait_ms": wait_ms}, wait_ms=wait_ms)
        answer = await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key)
        return cast(EverythingRevoked, answer)

    async def create_mount_ticket(
        self,
        tenant_slug: str,
        runtime_id: str,
        *,
        workspace: str,
        mode: Mode,
        ttl_seconds: int,
        subpath: Optional[str] = None,
        renewable: Optional[bool] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> CreatedMountTicket:
        """Signs a mount ticket for a runtime. Makes the tenant and a grant for this runtime if they are missing.

        ``renewable``: whether a session may go on after the ticket has run out, for as long as the grant stands.
        """
        body = {
            "workspace": workspace,
            "mode": mode,
            "ttl_seconds": ttl_seconds,
            "subpath": subpath,
            "renewable": renewable,
        }
        call = Call("POST", f"{_tenant(tenant_slug)}/runtimes/{segment(runtime_id)}/mount-tickets", json=body)
        answer = await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key)
        return cast(CreatedMountTicket, answer)

    def list_sessions(
        self,
        *,
        tenant_slug: Optional[str] = None,
        runtime_id: Optional[str] = None,
        workspace: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncPaginated[Session]:
        """Who has what mounted, oldest first."""
        query = {"tenant_slug": tenant_slug, "runtime_id": runtime_id, "workspace": workspace}
        return AsyncPaginated(self._transport, "/v1/sessions", query, limit=limit, cursor=cursor, timeout=timeout)

    async def end_session(
        self, id: str, *, wait_ms: Optional[int] = None, timeout: Optional[float] = None
    ) -> EndedSession:
        """Ends a session. Its ticket may open another one for as long as it lives; revoke the grant to prevent that."""
        call = Call("DELETE", f"/v1/sessions/{segment(id)}", query={"wait_ms": wait_ms}, wait_ms=wait_ms)
        return cast(EndedSession, await self._transport.json(call, timeout=timeout))

    def list_usage(
        self,
        *,
        tenant_slug: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncPaginated[UsageItem]:
        """What each workspace of the account holds, or each that the standing grants of a tenant name."""
        query = {"tenant_slug": tenant_slug}
        return AsyncPaginated(self._transport, "/v1/usage", query, limit=limit, cursor=cursor, timeout=timeout)

    async def total_usage(self, *, tenant_slug: Optional[str] = None, timeout: Optional[float] = None) -> UsageTotal:
        """What they hold together."""
        call = Call("GET", "/v1/usage", query={"tenant_slug": tenant_slug, "limit": 1})
        return cast(UsageTotal, (await self._transport.json(call, timeout=timeout))["total"])


def _tenant(slug: str) -> str:
    return f"/v1/tenants/{segment(slug)}"
