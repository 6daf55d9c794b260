"""Sends calls, again where that helps, and turns what goes wrong into errors."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Awaitable, Callable, Optional, TypeVar

import httpx

from .._call import Call
from .._errors import ApiConnectionError, ApiTimeoutError, ArtifactsError, error_of
from .._retry import pause, retry_after
from .._settings import Settings

T = TypeVar("T")


class AsyncTransport:
    """Always true: all tries of one POST bear one idempotency key, and a body that can be read only once is sent once."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http

    async def aclose(self) -> None:
        await self._http.aclose()

    async def json(
        self, call: Call, *, timeout: Optional[float] = None, retries: Optional[int] = None, idempotency_key: Optional[str] = None
    ) -> Any:
        """The answer's JSON; ``None`` if it has no body."""

        async def read(answer: httpx.Response) -> httpx.Response:
            await answer.aread()
            await answer.aclose()
            return answer

        answer = await self._tried(call, timeout, retries, idempotency_key, read)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            what = f"the answer to {call.method} {call.path} (status {answer.status_code})"
            raise ApiConnectionError(f"{what} is not JSON; is that a node?") from error

    @asynccontextmanager
    async def open(
        self, call: Call, *, timeout: Optional[float] = None, retries: Optional[int] = None
    ) -> AsyncIterator[httpx.Response]:
        """The answer with its body unread."""

        async def leave(answer: httpx.Response) -> httpx.Response:
            return answer

        answer = await self._tried(call, timeout, retries, None, leave)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _tried(
        self,
        call: Call,
        timeout: Optional[float],
        retries: Optional[int],
        idempotency_key: Optional[str],
        read: Callable[[httpx.Response], Awaitable[T]],
    ) -> T:
        most = call.tries(self._settings.retries if retries is None else retries)
        key = call.key(idempotency_key)
        tries = 1
        while True:
            try:
                return await self._attempt(call, self._settings.timeout if timeout is None else timeout, key, read)
            except ArtifactsError as error:
                length = pause(error, tries, random.random()) if tries < most else None
                if length is None:
                    raise call.after(error, tries) from error.__cause__
            await asyncio.sleep(length)
            tries += 1

    async def _attempt(
        self, call: Call, timeout: float, key: Optional[str], read: Callable[[httpx.Response], Awaitable[T]]
    ) -> T:
        settings = self._settings
        limit = httpx.Timeout(timeout, read=timeout + (call.wait_ms or 0) / 1000)
        headers = call.request_headers(settings, key)
        request = self._http.build_request(
            call.method, call.url(settings), headers=headers, content=call.body(), timeout=limit
        )
        try:
            # A redirect would take the key somewhere else; it is answered as the error that it is.
            answer = await self._http.send(request, stream=True, follow_redirects=False)
            if answer.is_success or answer.status_code == 304:
                return await read(answer)
            body = await answer.aread()
            await answer.aclose()
        except httpx.TimeoutException as error:
            raise ApiTimeoutError(f"no answer to {call.method} {call.path} within {limit.read:g} s") from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise ApiConnectionError(f"{call.method} {settings.base_url}{call.path} was not answered: {error}") from error
        raise error_of(
            answer.status_code,
            body,
            request_id=answer.headers.get("x-request-id"),
            retry_after=retry_after(answer.headers.get("retry-after"), time.time()),
        )
