from __future__ import annotations

import os
from types import TracebackType
from typing import Optional, Type, cast

import httpx

from .._call import Call
from .._settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT, settings
from .._types import Whoami
from .api_keys import AsyncApiKeys
from .audit import AsyncAudit
from .files import AsyncFiles
from .locks import AsyncLocks
from .mesh_credentials import AsyncMeshCredentials
from .platform import AsyncPlatform
from .transport import AsyncTransport
from .workspace_paths import AsyncWorkspacePaths
from .workspaces import AsyncWorkspaces


class AsyncArtifacts:
    """A client of the API. Make one, keep it, close it at the end (or use it in a ``with`` block).

    Answers are dictionaries as the API gives them. Calls that fail in passing are tried again.
    """

    #: Tenants, grants, tickets, sessions.
    platform: AsyncPlatform
    workspaces: AsyncWorkspaces
    #: Files without a mount.
    files: AsyncFiles
    #: Named locks.
    locks: AsyncLocks
    api_keys: AsyncApiKeys
    #: What the agents of hosts join the mesh with.
    mesh_credentials: AsyncMeshCredentials
    #: Who did what.
    audit: AsyncAudit

    def __init__(
        self,
        api_key: Optional[str] = None,
        base_url: Optional[str] = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
        http_client: Optional[httpx.AsyncClient] = None,
    ) -> None:
        """Reads ``TONBO_API_KEY`` and ``TONBO_API_URL`` (default ``http://127.0.0.1:7700``) for what is not given.

        ``timeout``: for how many seconds one try may hear nothing from the node. ``retries``: how often a call that
        failed in passing is tried again. For locks and nothing else, the ``token`` of a mount ticket will do as
        ``api_key``. Raises ``ConfigurationError``.
        """
        chosen = settings(api_key, base_url, timeout, retries, os.environ)
        self._transport = AsyncTransport(chosen, http_client or httpx.AsyncClient())
        paths = AsyncWorkspacePaths(self._transport)
        self.platform = AsyncPlatform(self._transport, paths)
        self.workspaces = AsyncWorkspaces(self._transport, paths)
        self.files = AsyncFiles(self._transport, paths)
        self.locks = AsyncLocks(self._transport, paths)
        self.api_keys = AsyncApiKeys(self._transport)
        self.mesh_credentials = AsyncMeshCredentials(self._transport)
        self.audit = AsyncAudit(self._transport)

    async def whoami(self, *, timeout: Optional[float] = None) -> Whoami:
        """Whose key this is."""
        return cast(Whoami, await self._transport.json(Call("GET", "/v1/whoami"), timeout=timeout))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> "AsyncArtifacts":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()
