from __future__ import annotations

import json
import time
from typing import Any, AsyncGenerator, Optional, cast

from .._address import segment
from .._call import Call
from .._errors import LockHeldError
from .._event_stream import StreamEvent
from .._types import HeldLock, Lock, LockEvent, LockMode, ReleasedLock
from .holding import AsyncHolding
from .events import events
from .pages import AsyncPaginated
from .transport import AsyncTransport
from .workspace_paths import AsyncWorkspacePaths

DEFAULT_TTL_MS = 30_000


class AsyncLocks:
    """Named locks of a workspace, seen by every runtime that may use it.

    The ``token`` of a mount ticket is a credential for them, as ``api_key``; with one, name the workspace
    ``handle/name``. ``ttl_ms``: how long a lock is held without a renewal, 1,000 to 86,400,000.
    """

    def __init__(self, transport: AsyncTransport, paths: AsyncWorkspacePaths) -> None:
        self._transport = transport
        self._paths = paths

    async def acquire(
        self,
        workspace: str,
        lock: str,
        *,
        mode: LockMode = "exclusive",
        permits: Optional[int] = None,
        ttl_ms: int = DEFAULT_TTL_MS,
        wait_ms: Optional[int] = None,
        note: Optional[str] = None,
        owner: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> HeldLock:
        """Takes a lock, after waiting for it up to ``wait_ms``.

        ``permits`` is of semaphores: how many may hold it at a time. ``note`` is for people; ``owner`` says who it is
        for, so that a wait that would never end can be refused. Raises ``LockHeldError``, ``DeadlockError``.
        """
        body = {
            "mode": mode,
            "permits": permits,
            "ttl_ms": ttl_ms,
            "wait_ms": wait_ms,
            "note": note,
            "owner": owner,
        }
        call = Call("POST", f"{await self._path(workspace, lock, timeout)}/acquire", json=body, wait_ms=wait_ms)
        return cast(HeldLock, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    async def renew(
        self,
        workspace: str,
        lock: str,
        *,
        lock_id: str,
        ttl_ms: int = DEFAULT_TTL_MS,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
        retries: Optional[int] = None,
    ) -> HeldLock:
        """Holds a lock for longer. Raises ``StaleTokenError`` if it is not held under this id any more."""
        path = f"{await self._path(workspace, lock, timeout)}/renew"
        call = Call("POST", path, json={"lock_id": lock_id, "ttl_ms": ttl_ms})
        answer = await self._transport.json(call, timeout=timeout, retries=retries, idempotency_key=idempotency_key)
        return cast(HeldLock, answer)

    async def release(
        self,
        workspace: str,
        lock: str,
        *,
        lock_id: str,
        idempotency_key: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> ReleasedLock:
        """Gives a lock back; whoever waits for it has it at once. Raises ``StaleTokenError`` as :meth:`renew`."""
        call = Call("POST", f"{await self._path(workspace, lock, timeout)}/release", json={"lock_id": lock_id})
        return cast(ReleasedLock, await self._transport.json(call, timeout=timeout, idempotency_key=idempotency_key))

    def list(
        self,
        workspace: str,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncPaginated[Lock]:
        """What is locked, names and files, with everybody who holds it or waits for it."""

        async def path() -> str:
            return f"{await self._paths.of(workspace, timeout)}/locks"

        return AsyncPaginated(self._transport, path, {}, limit=limit, cursor=cursor, timeout=timeout)

    def events(
        self, workspace: str, *, lock: Optional[str] = None, last_event_id: Optional[str] = None
    ) -> AsyncGenerator[LockEvent, None]:
        """What happens to the named locks, for as long as the credential lets it.

        Begins with ``ready``: list after it, and nothing is missed. A stream that breaks off is taken up where it was;
        if events are lost meanwhile there is a ``gap``: list again.
        """

        async def path() -> str:
            return f"{await self._paths.of(workspace)}/locks/events"

        def told(event: StreamEvent) -> LockEvent:
            return cast(LockEvent, {**json.loads(event.data), "type": event.type, "id": event.id})

        return events(self._transport, path, {"lock": lock}, last_event_id, told)

    def hold(
        self,
        workspace: str,
        lock: str,
        *,
        mode: LockMode = "exclusive",
        permits: Optional[int] = None,
        ttl_ms: int = DEFAULT_TTL_MS,
        wait_ms: Optional[int] = None,
        note: Optional[str] = None,
        owner: Optional[str] = None,
    ) -> AsyncHolding:
        """Holds a lock in a ``with`` block: renews it meanwhile, releases it afterwards.

        If it is lost meanwhile the block ends with ``LockLostError``.
        """

        async def acquire() -> HeldLock:
            return await self.acquire(
                workspace,
                lock,
                mode=mode,
                permits=permits,
                ttl_ms=ttl_ms,
                wait_ms=wait_ms,
                note=note,
                owner=owner,
            )

        async def renew(lock_id: str, timeout: Optional[float]) -> HeldLock:
            return await self.renew(
                workspace, lock, lock_id=lock_id, ttl_ms=ttl_ms, timeout=timeout, retries=None if timeout is None else 0
            )

        async def release(lock_id: str) -> Any:
            return await self.release(workspace, lock, lock_id=lock_id)

        return AsyncHolding(lock, ttl_ms / 1000, acquire, renew, release, time.monotonic)

    async def _path(self, workspace: str, lock: str, timeout: Optional[float]) -> str:
        return f"{await self._paths.of(workspace, timeout)}/locks/{segment(lock)}"
