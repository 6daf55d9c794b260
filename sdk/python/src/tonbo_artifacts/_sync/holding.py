from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Callable, Optional, Type

from .._errors import ApiError, ArtifactsError, LockLostError
from .._retry import is_transient
from .._types import HeldLock


class Holding:
    """A lock that is held in a ``with`` block, and renewed meanwhile by a thread.

    If it is lost the block is not interrupted: long work asks :attr:`lost` or calls :meth:`check` now and then. At its end the block
    raises ``LockLostError``.
    """

    def __init__(
        self,
        name: str,
        ttl: float,
        acquire: Callable[[], HeldLock],
        renew: Callable[[str, Optional[float]], HeldLock],
        release: Callable[[str], Any],
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
        self._done = threading.Event()
        self._renewing: Optional[threading.Thread] = None

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

    def __enter__(self) -> "Holding":
        since = self._clock()
        self._held = self._acquire()
        if self._clock() - since > self._ttl / 3:
            # It was given to us some time in the wait; from here on it is known since when we have it.
            since = self._clock()
            self._renew(self.lock_id, None)
        self._renewing = threading.Thread(target=self._keep, args=(since,), name=f"lock {self._name}", daemon=True)
        self._renewing.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._done.set()
        if self._renewing is not None:
            self._renewing.join()
        if self._lost is None:
            try:
                self._release(self.lock_id)
            except ApiError as refusal:
                # What is only not answered runs out by itself.
                if not is_transient(refusal):
                    self._lose(refusal.message, refusal)
            except ArtifactsError:
                pass
        if self._lost is not None:
            raise self._lost from error

    def _taken(self) -> HeldLock:
        if self._held is None:
            raise RuntimeError("the lock is held inside the `with` block only")
        return self._held

    def _lose(self, why: str, cause: Optional[BaseException]) -> None:
        lost = LockLostError(f"the lock `{self._name}` is lost: {why}")
        lost.__cause__ = cause
        self._lost = lost

    def _keep(self, since: float) -> None:
        """Renews at a third of its life, more often when that fails."""
        end, pause = since + self._ttl, self._ttl / 3
        failure: Optional[BaseException] = None
        while True:
            left = end - self._clock()
            if left <= 0:
                return self._lose("it could not be renewed in time", failure)
            if self._done.wait(min(pause, left)):
                return None
            sent = self._clock()
            if sent >= end:
                continue
            try:
                self._renew(self.lock_id, end - sent)
                end, pause = sent + self._ttl, self._ttl / 3
            except ApiError as refusal:
                if not is_transient(refusal):
                    return self._lose(refusal.message, refusal)
                failure, pause = refusal, min(1.0, (end - self._clock()) / 4)
            except ArtifactsError as error:
                failure, pause = error, min(1.0, (end - self._clock()) / 4)
