from __future__ import annotations

import os
from types import TracebackType
from typing import Optional, Type, cast

import httpx

from .._call import Call
from .._settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT, settings
from .._types import Whoami
from .api_keys import ApiKeys
from .audit import Audit
from .files import Files
from .locks import Locks
from .mesh_credentials import MeshCredentials
from .platform import Platform
from .transport import Transport
from .workspace_paths import WorkspacePaths
from .workspaces import Workspaces


class Artifacts:
    """A client of the API. Make one, keep it, close it at the end (or use it in a ``with`` block).

    Answers are dictionaries as the API gives them. Calls that fail in passing are tried again.
    """

    #: Tenants, grants, tickets, sessions.
    platform: Platform
    workspaces: Workspaces
    #: Files without a mount.
    files: Files
    #: Named locks.
    locks: Locks
    api_keys: ApiKeys
    #: What the agents of hosts join the mesh with.
    mesh_credentials: MeshCredentials
    #: Who did what.
    audit: Audit

    def __init__(
        self,
        api_key: Optional[str] = None,
        base_url: Optional[str] = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
        http_client: Optional[httpx.Client] = None,
    ) -> None:
        """Reads ``TONBO_API_KEY`` and ``TONBO_API_URL`` (default ``http://127.0.0.1:7700``) for what is not given.

        ``timeout``: for how many seconds one try may hear nothing from the node. ``retries``: how often a call that
        failed in passing is tried again. For locks and nothing else, the ``token`` of a mount ticket will do as
        ``api_key``. Raises ``ConfigurationError``.
        """
        chosen = settings(api_key, base_url, timeout, retries, os.environ)
        self._transport = Transport(chosen, http_client or httpx.Client())
        paths = WorkspacePaths(self._transport)
        self.platform = Platform(self._transport, paths)
        self.workspaces = Workspaces(self._transport, paths)
        self.files = Files(self._transport, paths)
        self.locks = Locks(self._transport, paths)
        self.api_keys = ApiKeys(self._transport)
        self.mesh_credentials = MeshCredentials(self._transport)
        self.audit = Audit(self._transport)

    def whoami(self, *, timeout: Optional[float] = None) -> Whoami:
        """Whose key this is."""
        return cast(Whoami, self._transport.json(Call("GET", "/v1/whoami"), timeout=timeout))

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> "Artifacts":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
