"""Sends calls, again where that helps, and turns what goes wrong into errors."""

from __future__ import annotations

import time
import random
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, TypeVar

import httpx

from .._call import Call
from .._errors import ApiConnectionError, ApiTimeoutError, ArtifactsError, error_of
from .._retry import pause, retry_after
from .._settings import Settings

T = TypeVar("T")


class Transport:
    """Always true: all tries of one POST bear one idempotency key, and a body that can be read only once is sent once."""

    def __init__(self, settings: Settings, http: httpx.Client) -> None:
        self._settings = settings
        self._http = http

    def close(self) -> None:
        self._http.close()

    def json(
        self, call: Call, *, timeout: Optional[float] = None, retries: Optional[int] = None, idempotency_key: Optional[str] = None
    ) -> Any:
        """The answer's JSON; ``None`` if it has no body."""

        def read(answer: httpx.Response) -> httpx.Response:
            answer.read()
            answer.close()
            return answer

        answer = self._tried(call, timeout, retries, idempotency_key, read)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            what = f"the answer to {call.method} {call.path} (status {answer.status_code})"
            raise ApiConnectionError(f"{what} is not JSON; is that a node?") from error

    @contextmanager
    def open(
        self, call: Call, *, timeout: Optional[float] = None, retries: Optional[int] = None
    ) -> Iterator[httpx.Response]:
        """The answer with its body unread."""

        def leave(answer: httpx.Response) -> httpx.Response:
            return answer

        answer = self._tried(call, timeout, retries, None, leave)
        try:
            yield answer
        finally:
            answer.close()

    def _tried(
        self,
        call: Call,
        timeout: Optional[float],
        retries: Optional[int],
        idempotency_key: Optional[str],
        read: Callable[[httpx.Response], T],
    ) -> T:
        most = call.tries(self._settings.retries if retries is None else retries)
        key = call.key(idempotency_key)
        tries = 1
        while True:
            try:
                return self._attempt(call, self._settings.timeout if timeout is None else timeout, key, read)
            except ArtifactsError as error:
                length = pause(error, tries, random.random()) if tries < most else None
                if length is None:
                    raise call.after(error, tries) from error.__cause__
            time.sleep(length)
            tries += 1

    def _attempt(
        self, call: Call, timeout: float, key: Optional[str], read: Callable[[httpx.Response], T]
    ) -> T:
        settings = self._settings
        limit = httpx.Timeout(timeout, read=timeout + (call.wait_ms or 0) / 1000)
        headers = call.request_headers(settings, key)
        request = self._http.build_request(
            call.method, call.url(settings), headers=headers, content=call.body(), timeout=limit
        )
        try:
            # A redirect would take the key somewhere else; it is answered as the error that it is.
            answer = self._http.send(request, stream=True, follow_redirects=False)
            if answer.is_success or answer.status_code == 304:
                return read(answer)
            body = answer.read()
            answer.close()
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
