from __future__ import annotations

from datetime import datetime
from typing import Optional, Union, cast

from .._address import segment
from .._call import Call
from .._types import AccountCells, CreatedMeshCredential, MeshCredential
from .pages import Paginated
from .transport import Transport


class MeshCredentials:
    """What the agents of hosts join the mesh with. They are managed with a key that has no scope."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        name: Optional[str] = None,
        expires_at: Optional[Union[str, datetime]] = None,
        ttl_seconds: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> CreatedMeshCredential:
        """Makes a credential. Its secret is in ``secret`` of this one answer.

        ``expires_at`` and ``ttl_seconds`` exclude each other; without either it is good for 90 days.
        """
        end = expires_at.astimezone().isoformat() if isinstance(expires_at, datetime) else expires_at
        call = Call("POST", "/v1/mesh-credentials", json={"name": name, "expires_at": end, "ttl_seconds": ttl_seconds})
        answer = self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key)
        return cast(CreatedMeshCredential, answer)

    def list(
        self, *, limit: Optional[int] = None, cursor: Optional[str] = None, timeout: Optional[float] = None
    ) -> Paginated[MeshCredential]:
        """Oldest first, revoked ones included."""
        return Paginated(self._transport, "/v1/mesh-credentials", {}, limit=limit, cursor=cursor, timeout=timeout)

    def revoke(self, id: str, *, timeout: Optional[float] = None) -> MeshCredential:
        """Revokes a credential: its hosts leave the mesh, and their mounts live on by their streams."""
        call = Call("DELETE", f"/v1/mesh-credentials/{segment(id)}")
        return cast(MeshCredential, self._transport.json(call, timeout=timeout))

    def cells(self, *, timeout: Optional[float] = None) -> AccountCells:
        """The cells in which the account's hosts gossip.

        They tell how large each is, which nodes take part, and how lately its hosts were heard.
        """
        return cast(AccountCells, self._transport.json(Call("GET", "/v1/mesh/cells"), timeout=timeout))
