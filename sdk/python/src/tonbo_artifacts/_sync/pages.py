from __future__ import annotations

from typing import Any, Callable, Generic, Iterator, List, Mapping, Optional, TypeVar, Union, cast

from .._call import Call
from .._types import Page
from .transport import Transport

T = TypeVar("T")


class Paginated(Generic[T]):
    """A list that is fetched page by page while it is gone through."""

    def __init__(
        self,
        transport: Transport,
        path: Union[str, Callable[[], str]],
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

    def page(self) -> Page[T]:
        """The first page alone."""
        return self._fetch(self._cursor)

    def pages(self) -> Iterator[Page[T]]:
        """Page by page. A page may be empty and still not be the last."""
        cursor = self._cursor
        while True:
            page = self._fetch(cursor)
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def all(self) -> List[T]:
        """All of it, in memory."""
        return [item for item in self]

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            for item in page["items"]:
                yield item

    def _fetch(self, cursor: Optional[str]) -> Page[T]:
        path = self._path if isinstance(self._path, str) else self._path()
        query = {**self._query, "limit": self._limit, "cursor": cursor}
        return cast("Page[T]", self._transport.json(Call("GET", path, query=query), timeout=self._timeout))
