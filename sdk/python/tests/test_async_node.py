"""The other client against a real node: what it does not share with the blocking one."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable

import pytest
import tonbo_artifacts as sdk
from tonbo_artifacts import AsyncArtifacts

from node import Node


def run(node: Node, key: str, body: Callable[[AsyncArtifacts], Awaitable[Any]]) -> None:
    async def main() -> None:
        async with AsyncArtifacts(key, node.url) as artifacts:
            await body(artifacts)

    asyncio.run(asyncio.wait_for(main(), 120))


def test_calls_and_lists(node: Node, key: str) -> None:
    async def body(artifacts: AsyncArtifacts) -> None:
        slugs = [f"async-{index}" for index in range(5)]
        await asyncio.gather(*(artifacts.platform.create_tenant(slug) for slug in slugs))
        with pytest.raises(sdk.TenantExistsError):
            await artifacts.platform.create_tenant(slugs[0])
        listed = [tenant["slug"] async for tenant in artifacts.platform.list_tenants(limit=2)]
        assert set(slugs) <= set(listed)
        assert (await artifacts.locks.list("task-1").page())["next_cursor"] is None

    run(node, key, body)


def test_a_lock_is_renewed_while_a_block_runs_under_it_and_free_afterwards(node: Node, key: str) -> None:
    async def body(artifacts: AsyncArtifacts) -> None:
        async with artifacts.locks.hold("task-1", "a-work", ttl_ms=1000) as held:
            await asyncio.sleep(2.5)
            held.check()
            with pytest.raises(sdk.LockHeldError):
                await artifacts.locks.acquire("task-1", "a-work")
            token = held.fencing_token
        async with artifacts.locks.hold("task-1", "a-work") as held:
            assert held.fencing_token > token

    run(node, key, body)


def test_a_block_whose_lock_is_lost_is_cancelled_and_its_task_goes_on(node: Node, key: str) -> None:
    async def body(artifacts: AsyncArtifacts) -> None:
        with pytest.raises(sdk.LockLostError):
            async with artifacts.locks.hold("task-1", "a-lost", ttl_ms=1500) as held:
                await artifacts.locks.release("task-1", "a-lost", lock_id=held.lock_id)
                await asyncio.sleep(60)
        await asyncio.sleep(0)
        await artifacts.whoami()

    run(node, key, body)


def test_a_block_that_is_cancelled_by_others_stays_cancelled_and_frees_its_lock(node: Node, key: str) -> None:
    async def body(artifacts: AsyncArtifacts) -> None:
        async def hold() -> None:
            async with artifacts.locks.hold("task-1", "a-cancelled"):
                entered.set()
                await asyncio.sleep(60)

        entered = asyncio.Event()
        task = asyncio.ensure_future(hold())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with artifacts.locks.hold("task-1", "a-cancelled"):
            pass

    run(node, key, body)


def test_who_no_longer_wants_to_wait_for_a_lock_is_out_of_the_queue(node: Node, key: str) -> None:
    async def body(artifacts: AsyncArtifacts) -> None:
        async def waiters() -> int:
            return sum([len(lock["waiters"]) async for lock in artifacts.locks.list("task-1")])

        async with artifacts.locks.hold("task-1", "a-queue"):
            waiting = asyncio.ensure_future(artifacts.locks.acquire("task-1", "a-queue", wait_ms=60_000))
            while await waiters() != 1:
                await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            while await waiters() != 0:
                await asyncio.sleep(0.05)

    run(node, key, body)


def test_events(node: Node, key: str) -> None:
    async def body(artifacts: AsyncArtifacts) -> None:
        events = artifacts.locks.events("task-1", lock="a-seen")
        assert (await events.__anext__())["type"] == "ready"
        async with artifacts.locks.hold("task-1", "a-seen"):
            assert (await events.__anext__())["type"] == "acquired"
        assert (await events.__anext__())["type"] == "released"
        await events.aclose()

    run(node, key, body)
