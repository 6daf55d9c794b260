from __future__ import annotations

from typing import Any, AsyncIterator, Awaitable, Callable, Generic, List, Mapping, Optional, TypeVar, Union, cast

from .._call import Call
from .._types import Page
from .transport import AsyncTransport

T = TypeVar("T")


class AsyncPaginated(Generic[T]):
    """A list that is fetched page by page while it is gone through."""

    def __init__(
        self,
        transport: AsyncTransport,
        path: Union[str, Callable[[], Awaitable[str]]],
        query: Mapping[str, Any],
        *,
        limit: Optional[int],
        cursor: Optional[str],
        timeout: Optional[float],
    ) -> None:
        self._transport = transport
        self._path = path
        self._query = query
        self._limit = limit
        self._cursor = cursor
        self._timeout = timeout

    async def page(self) -> Page[T]:
        """The first page alone."""
        return await self._fetch(self._cursor)

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page by page. A page may be empty and still not be the last."""
        cursor = self._cursor
        while True:
            page = await self._fetch(cursor)
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def all(self) -> List[T]:
        """All of it, in memory."""
        return [item async for item in self]

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page["items"]:
                yield item

    async def _fetch(self, cursor: Optional[str]) -> Page[T]:
        path = self._path if isinstance(self._path, str) else await self._path()
        query = {**self._query, "limit": self._limit, "cursor": cursor}
        return cast("Page[T]", await self._transport.json(Call("GET", path, query=query), timeout=self._timeout))
