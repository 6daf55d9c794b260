from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any, Awaitable, Callable, Optional, Type

from .._errors import ApiError, ArtifactsError, LockLostError
from .._retry import is_transient
from .._types import HeldLock


class AsyncHolding:
    """A lock that is held in an ``async with`` block, and renewed meanwhile.

    If it is lost, what the block awaits is cancelled, and the block ends with ``LockLostError``.
    """

    def __init__(
        self,
        name: str,
        ttl: float,
        acquire: Callable[[], Awaitable[HeldLock]],
        renew: Callable[[str, Optional[float]], Awaitable[HeldLock]],
        release: Callable[[str], Awaitable[Any]],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._ttl = ttl
        self._acquire = acquire
        self._renew = renew
        self._release = release
        self._clock = clock
        self._held: Optional[HeldLock] = None
        self._lost: Optional[LockLostError] = None
        self._cancelled = False
        self._block: Optional["asyncio.Task[Any]"] = None
        self._renewing: Optional["asyncio.Task[None]"] = None

    @property
    def fencing_token(self) -> int:
        """Hand it to what the lock protects, to refuse latecomers: a process that was suspended learns too late that it has lost the lock."""
        return self._taken()["fencing_token"]

    @property
    def lock_id(self) -> str:
        return self._taken()["lock_id"]

    @property
    def lost(self) -> bool:
        """Whether it is lost."""
        return self._lost is not None

    def check(self) -> None:
        """Raises ``LockLostError`` if it is lost."""
        if self._lost is not None:
            raise self._lost

    async def __aenter__(self) -> "AsyncHolding":
        since = self._clock()
        self._held = await self._acquire()
        if self._clock() - since > self._ttl / 3:
            # It was given to us some time in the wait; from here on it is known since when we have it.
            since = self._clock()
            await self._renew(self.lock_id, None)
        self._block = asyncio.current_task()
        self._renewing = asyncio.ensure_future(self._keep(since))
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._renewing is not None and not self._renewing.done():
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._lost is None:
            try:
                await self._release(self.lock_id)
            except ApiError as refusal:
                # What is only not answered runs out by itself.
                if not is_transient(refusal):
                    self._lose(refusal.message, refusal)
            except ArtifactsError:
                pass
        if self._cancelled and self._block is not None and sys.version_info >= (3, 11):
            # The cancelling was ours; nobody else is to see it.
            self._block.uncancel()
        if self._lost is not None:
            raise self._lost from error

    def _taken(self) -> HeldLock:
        if self._held is None:
            raise RuntimeError("the lock is held inside the `async with` block only")
        return self._held

    def _lose(self, why: str, cause: Optional[BaseException]) -> None:
        self._lost = LockLostError(f"the lock `{self._name}` is lost: {why}")
        self._lost.__cause__ = cause

    async def _keep(self, since: float) -> None:
        """Renews at a third of its life, more often when that fails."""
        end, pause = since + self._ttl, self._ttl / 3
        failure: Optional[BaseException] = None
        while True:
            left = end - self._clock()
            if left <= 0:
                self._lose("it could not be renewed in time", failure)
                break
            await asyncio.sleep(min(pause, left))
            sent = self._clock()
            if sent >= end:
                continue
            try:
                await asyncio.wait_for(self._renew(self.lock_id, end - sent), end - sent)
                end, pause = sent + self._ttl, self._ttl / 3
            except ApiError as refusal:
                if not is_transient(refusal):
                    self._lose(refusal.message, refusal)
                    break
                failure, pause = refusal, min(1.0, (end - self._clock()) / 4)
            except (ArtifactsError, asyncio.TimeoutError) as error:
                failure, pause = error, min(1.0, (end - self._clock()) / 4)
        if self._block is not None:
            self._cancelled = True
            self._block.cancel()
