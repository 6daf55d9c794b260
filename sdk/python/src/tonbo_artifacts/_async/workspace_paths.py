from __future__ import annotations

from typing import Optional

from .._address import parse_address, segment
from .._call import Call
from .transport import AsyncTransport


class AsyncWorkspacePaths:
    """Where workspaces are in the API. A bare name means one of the caller's own, whose handle is asked for once."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._handle: Optional[str] = None

    async def of(self, workspace: str, timeout: Optional[float] = None) -> str:
        """``/v1/workspaces/{handle}/{name}``."""
        address = parse_address(workspace)
        handle = address.handle or await self._own(timeout)
        return f"/v1/workspaces/{segment(handle)}/{segment(address.name)}"

    async def _own(self, timeout: Optional[float]) -> str:
        if self._handle is None:
            whoami = await self._transport.json(Call("GET", "/v1/whoami"), timeout=timeout)
            self._handle = str(whoami["account"]["handle"])
        return self._handle
