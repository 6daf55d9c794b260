from __future__ import annotations

from datetime import datetime
from typing import Optional, Union, cast

from .._address import segment
from .._call import Call
from .._types import ApiKey, CreatedApiKey, KeyScope, RevokedApiKey
from .pages import AsyncPaginated
from .transport import AsyncTransport


class AsyncApiKeys:
    """API keys. They are managed with a key that has no scope."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        *,
        name: Optional[str] = None,
        scope: Optional[KeyScope] = None,
        expires_at: Optional[Union[str, datetime]] = None,
        ttl_seconds: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> CreatedApiKey:
        """Makes a key. Its secret is in ``key`` of this one answer. ``expires_at`` and ``ttl_seconds`` exclude each other."""
        end = expires_at.astimezone().isoformat() if isinstance(expires_at, datetime) else expires_at
        body = {"name": name, "scope": scope, "expires_at": end, "ttl_seconds": ttl_seconds}
        call = Call("POST", "/v1/api-keys", json=body)
        return cast(CreatedApiKey, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    def list(
        self, *, limit: Optional[int] = None, cursor: Optional[str] = None, timeout: Optional[float] = None
    ) -> AsyncPaginated[ApiKey]:
        """Oldest first, revoked ones included."""
        return AsyncPaginated(self._transport, "/v1/api-keys", {}, limit=limit, cursor=cursor, timeout=timeout)

    async def revoke(
        self, id: str, *, wait_ms: Optional[int] = None, timeout: Optional[float] = None
    ) -> RevokedApiKey:
        """Revokes a key and ends the sessions that were opened with it."""
        call = Call("DELETE", f"/v1/api-keys/{segment(id)}", query={"wait_ms": wait_ms}, wait_ms=wait_ms)
        return cast(RevokedApiKey, await self._transport.json(call, timeout=timeout))
