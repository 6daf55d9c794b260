from __future__ import annotations

from contextlib import asynccontextmanager
from typing import AsyncIterable, AsyncIterator, Dict, Optional, Union, cast

import httpx

from .._address import file_path
from .._call import Call
from .._errors import ApiConnectionError
from .._types import FileEntry
from .pages import AsyncPaginated
from .transport import AsyncTransport
from .workspace_paths import AsyncWorkspacePaths


class AsyncFileContent:
    """A file that is being read."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        #: Whether it is in the state of ``if_none_match``; then there is no content.
        self.not_modified = answer.status_code == 304
        #: Names this state of the file.
        self.etag: Optional[str] = answer.headers.get("etag")
        whole = answer.headers.get("content-range", "").partition("/")[2] or answer.headers.get("content-length")
        #: How long the whole file is, in bytes.
        self.size: Optional[int] = None if whole is None or self.not_modified else int(whole)

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The content, as it comes."""
        try:
            async for piece in self._answer.aiter_bytes():
                yield piece
        except httpx.TransportError as error:
            raise ApiConnectionError(f"the answer broke off: {error}") from error

    async def read(self) -> bytes:
        """The content, in memory."""
        return b"".join([piece async for piece in self.iter_bytes()])


class AsyncFiles:
    """Files of a workspace without a mount: what mounts wrote is read, and what is written here is what mounts read from then on.

    A file is named by its path from the root, or by what a list told of it. The ``token`` of a mount ticket is a
    credential for them, as ``api_key``.
    """

    def __init__(self, transport: AsyncTransport, paths: AsyncWorkspacePaths) -> None:
        self._transport = transport
        self._paths = paths

    @asynccontextmanager
    async def open(
        self,
        workspace: str,
        file: Union[str, FileEntry],
        *,
        start: Optional[int] = None,
        end: Optional[int] = None,
        if_match: Optional[str] = None,
        if_none_match: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncIterator[AsyncFileContent]:
        """Reads a file, or some bytes of it, as they come.

        ``start``: the first byte, below 0 so many from the end. ``end``: the last byte, itself included. ``if_match``,
        ``if_none_match``: only if the file is, or is not, in the state of this ``etag``.
        """
        headers = {"range": _range(start, end), "if-match": if_match, "if-none-match": if_none_match}
        call = Call("GET", await self._path(workspace, file, timeout), headers=headers)
        async with self._transport.open(call, timeout=timeout) as answer:
            yield AsyncFileContent(answer)

    async def read(
        self,
        workspace: str,
        file: Union[str, FileEntry],
        *,
        start: Optional[int] = None,
        end: Optional[int] = None,
        if_match: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> bytes:
        """A file, or some bytes of it, in memory. As :meth:`open`."""
        async with self.open(workspace, file, start=start, end=end, if_match=if_match, timeout=timeout) as content:
            return await content.read()

    async def write(
        self,
        workspace: str,
        file: Union[str, FileEntry],
        content: Union[bytes, str, AsyncIterable[bytes]],
        *,
        if_match: Optional[str] = None,
        if_none_match: Optional[str] = None,
        parents: Optional[bool] = None,
        mode: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> FileEntry:
        """Writes a file as a whole: whoever looks sees the old one or the new one. Durable once it is answered.

        ``if_match``: only if the file is in the state of this ``etag``. ``if_none_match="*"``: only if there is none.
        ``parents``: whether missing directories are made. ``mode``: permission bits in octal, as in ``0644``. What
        comes in pieces is read once, so such a call is not tried again.
        """
        headers = {"if-match": if_match, "if-none-match": if_none_match}
        query = {"parents": parents, "mode": mode}
        path = await self._path(workspace, file, timeout)
        call = Call("PUT", path, query=query, headers=headers, content=content)
        return cast(FileEntry, await self._transport.json(call, timeout=timeout))

    def list(
        self,
        workspace: str,
        *,
        path: Optional[str] = None,
        recursive: Optional[bool] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncPaginated[FileEntry]:
        """What is in a directory, in the root unless one is given; with ``recursive`` all below it."""

        async def where() -> str:
            return f"{await self._paths.of(workspace, timeout)}/files"

        query = {"path": path, "recursive": recursive}
        return AsyncPaginated(self._transport, where, query, limit=limit, cursor=cursor, timeout=timeout)

    async def delete(
        self,
        workspace: str,
        file: Union[str, FileEntry],
        *,
        recursive: Optional[bool] = None,
        if_match: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """Removes a file, a symbolic link or a directory: an empty one, or with ``recursive`` one with all that is in it."""
        headers: Dict[str, Optional[str]] = {"if-match": if_match}
        path = await self._path(workspace, file, timeout)
        await self._transport.json(Call("DELETE", path, query={"recursive": recursive}, headers=headers), timeout=timeout)

    async def move(
        self,
        workspace: str,
        source: str,
        to: str,
        *,
        overwrite: Optional[bool] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> FileEntry:
        """Gives a file or directory another path, in one step.

        Raises ``WorkspaceFileExistsError`` if something is there, unless ``overwrite``.
        """
        body = {"from": source, "to": to, "overwrite": overwrite}
        call = Call("POST", f"{await self._paths.of(workspace, timeout)}/files/move", json=body)
        return cast(FileEntry, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    async def _path(self, workspace: str, file: Union[str, FileEntry], timeout: Optional[float]) -> str:
        path = file_path(file) if isinstance(file, str) else file.get("encoded_path") or file_path(file["path"])
        return f"{await self._paths.of(workspace, timeout)}/files/{path}"


def _range(start: Optional[int], end: Optional[int]) -> Optional[str]:
    if start is None and end is None:
        return None
    if start is not None and start < 0:
        return f"bytes={start}"
    return f"bytes={start or 0}-{'' if end is None else end}"
