"""The blocking client against a real node."""

from __future__ import annotations

import threading
import time
from typing import Iterator, List

import pytest
import tonbo_artifacts as sdk
from tonbo_artifacts import Artifacts

from node import Node


@pytest.fixture(scope="module")
def artifacts(node: Node, key: str) -> Iterator[Artifacts]:
    with Artifacts(key, node.url) as client:
        yield client


def test_a_tenant_from_its_making_to_its_end(artifacts: Artifacts) -> None:
    made = artifacts.platform.create_tenant("initech", external_id="cus_42", metadata={"plan": "pro"})
    assert made["id"].startswith("ten_")
    assert artifacts.platform.get_tenant("initech") == made
    with pytest.raises(sdk.TenantExistsError):
        artifacts.platform.create_tenant("initech")
    grant = artifacts.platform.create_access_grant("task-1", tenant_slug="initech", mode="ro", ttl_seconds=60)
    assert artifacts.platform.get_access_grant(grant["id"]) == grant
    deleted = artifacts.platform.delete_tenant("initech", wait_ms=0)
    assert [item["id"] for item in deleted["grants"]] == [grant["id"]]
    with pytest.raises(sdk.TenantNotFoundError):
        artifacts.platform.get_tenant("initech")


def test_one_call_makes_tenant_grant_and_ticket_and_revoking_takes_the_grant_away(artifacts: Artifacts) -> None:
    answer = artifacts.platform.create_mount_ticket("globex", "run-1", workspace="acme/task-1", mode="rw", ttl_seconds=3600)
    ticket = answer["mount_ticket"]
    assert ticket["workspace"] == "acme/task-1" and ticket["token"].count(".") == 2
    grants = artifacts.platform.list_access_grants(tenant_slug="globex", runtime_id="run-1", workspace="task-1").all()
    assert len(grants) == 1
    revoked = artifacts.platform.revoke_access_grants(tenant_slug="globex", runtime_id="run-1")
    assert [grant["id"] for grant in revoked["grants"]] == [grants[0]["id"]]
    assert revoked["sessions"] == {"matched": 0, "fenced": 0, "confirmed": 0}
    with pytest.raises(sdk.GrantNotFoundError):
        artifacts.platform.revoke_access_grant(grants[0]["id"])
    assert artifacts.platform.list_sessions(tenant_slug="globex").all() == []


def test_a_repeated_idempotency_key_does_nothing_twice(artifacts: Artifacts) -> None:
    made = artifacts.platform.create_tenant("once", idempotency_key="python-1")
    assert artifacts.platform.create_tenant("once", idempotency_key="python-1") == made
    with pytest.raises(sdk.IdempotencyConflictError):
        artifacts.platform.create_tenant("twice", idempotency_key="python-1")


def test_workspaces_page_by_page(artifacts: Artifacts) -> None:
    names = ["page-a", "page-b", "page-c"]
    for name in names:
        artifacts.workspaces.create(name, quota_bytes=1 << 20)
    with pytest.raises(sdk.WorkspaceExistsError):
        artifacts.workspaces.create("page-a")
    pages = [len(page["items"]) for page in artifacts.workspaces.list(limit=2).pages()]
    assert len(pages) >= 2 and max(pages) <= 2
    listed = [workspace["name"] for workspace in artifacts.workspaces.list(limit=2)]
    assert set(names) <= set(listed)
    assert artifacts.workspaces.delete("page-a", wait_ms=0)["status"] in ("deleting", "deleted")
    assert artifacts.workspaces.usage("page-b")["quota_bytes"] == 1 << 20
    assert artifacts.platform.total_usage()["workspaces"] >= 3
    assert "acme/task-1" in [item["workspace"] for item in artifacts.platform.list_usage()]


def test_a_scoped_key_does_no_more_than_its_scope(node: Node, artifacts: Artifacts) -> None:
    made = artifacts.api_keys.create(name="ci", scope={"mode": "ro"}, ttl_seconds=60)
    with Artifacts(made["key"], node.url) as reader:
        assert reader.whoami()["scope"] == {"mode": "ro"}
        with pytest.raises(sdk.ForbiddenError):
            reader.platform.create_tenant("no")
        assert made["id"] in [item["id"] for item in artifacts.api_keys.list()]
        artifacts.api_keys.revoke(made["id"])
        with pytest.raises(sdk.UnauthorizedError):
            reader.whoami()


def test_locks_taken_refused_renewed_listed_released(artifacts: Artifacts) -> None:
    held = artifacts.locks.acquire("task-1", "deploy", ttl_ms=5000, note="release 42")
    with pytest.raises(sdk.LockHeldError):
        artifacts.locks.acquire("task-1", "deploy")
    renewed = artifacts.locks.renew("task-1", "deploy", lock_id=held["lock_id"])
    assert renewed["fencing_token"] == held["fencing_token"]
    listed = {lock.get("name"): lock for lock in artifacts.locks.list("task-1")}
    assert listed["deploy"]["holders"][0]["note"] == "release 42"
    artifacts.locks.release("task-1", "deploy", lock_id=held["lock_id"])
    with pytest.raises(sdk.StaleTokenError):
        artifacts.locks.renew("task-1", "deploy", lock_id=held["lock_id"])


def test_a_lock_is_renewed_while_a_block_runs_under_it_and_free_afterwards(artifacts: Artifacts) -> None:
    with artifacts.locks.hold("task-1", "work", ttl_ms=1000) as held:
        # Longer than its time to live.
        time.sleep(2.5)
        held.check()
        with pytest.raises(sdk.LockHeldError):
            artifacts.locks.acquire("task-1", "work")
        token = held.fencing_token
    with artifacts.locks.hold("task-1", "work") as held:
        assert held.fencing_token > token
    with pytest.raises(ValueError, match="mine"), artifacts.locks.hold("task-1", "work"):
        raise ValueError("mine")


def test_who_loses_a_lock_is_told(artifacts: Artifacts) -> None:
    with pytest.raises(sdk.LockLostError):
        with artifacts.locks.hold("task-1", "lost", ttl_ms=1500) as held:
            artifacts.locks.release("task-1", "lost", lock_id=held.lock_id)
            end = time.monotonic() + 60
            while not held.lost and time.monotonic() < end:
                time.sleep(0.05)
            with pytest.raises(sdk.LockLostError):
                held.check()


def test_events_follow_the_locks_and_go_on_where_they_were(artifacts: Artifacts) -> None:
    events = artifacts.locks.events("task-1", lock="seen")
    assert next(events)["type"] == "ready"
    held = artifacts.locks.acquire("task-1", "seen", owner="me")
    acquired = next(events)
    assert (acquired["type"], acquired["lock"], acquired["owner"]) == ("acquired", "seen", "me")
    events.close()
    artifacts.locks.release("task-1", "seen", lock_id=held["lock_id"])
    assert next(artifacts.locks.events("task-1", lock="seen", last_event_id=acquired["id"]))["type"] == "released"


def test_waiting_for_a_lock_outlasts_the_time_limit_of_a_call(artifacts: Artifacts) -> None:
    held = artifacts.locks.acquire("task-1", "patient")
    tokens: List[int] = []

    def wait() -> None:
        tokens.append(artifacts.locks.acquire("task-1", "patient", wait_ms=60_000, timeout=0.5)["fencing_token"])

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(1.5)
    artifacts.locks.release("task-1", "patient", lock_id=held["lock_id"])
    waiter.join(60)
    assert tokens and tokens[0] > held["fencing_token"]


def test_a_mount_ticket_is_a_credential_for_the_locks_of_its_workspace(node: Node, artifacts: Artifacts) -> None:
    answer = artifacts.platform.create_mount_ticket("acme", "run-2", workspace="task-1", mode="rw", ttl_seconds=60)
    ticket = answer["mount_ticket"]
    with Artifacts(ticket["token"], node.url) as runtime:
        with runtime.locks.hold(ticket["workspace"], "of-runtime") as held:
            assert held.fencing_token > 0
        with pytest.raises(sdk.UnauthorizedError):
            runtime.whoami()


def test_files_written_read_listed_moved_deleted(artifacts: Artifacts) -> None:
    files = artifacts.files
    written = files.write("task-1", "docs/ü report.md", "hello, world", parents=True, if_none_match="*")
    assert (written["path"], written["size"], written["kind"]) == ("docs/ü report.md", 12, "file")
    assert files.read("task-1", written) == b"hello, world"
    assert files.read("task-1", "/docs/ü report.md", start=7, end=9) == b"wor"
    assert files.read("task-1", written, start=-5) == b"world"
    with files.open("task-1", written, if_none_match=written["etag"]) as content:
        assert content.not_modified and content.read() == b""
    with files.open("task-1", written, start=1) as content:
        assert (content.size, content.etag) == (12, written["etag"])
    with pytest.raises(sdk.RangeNotSatisfiableError):
        files.read("task-1", written, start=100)
    with pytest.raises(sdk.PreconditionFailedError):
        files.write("task-1", written, b"x", if_none_match="*")
    with pytest.raises(sdk.WorkspaceFileNotFoundError):
        files.read("task-1", "none")
    pieces = [bytes([number]) * 65536 for number in range(64)]
    large = files.write("task-1", "docs/large", iter(pieces))
    assert large["size"] == 64 * 65536
    with files.open("task-1", large) as content:
        assert b"".join(content.iter_bytes()) == b"".join(pieces)
    assert files.move("task-1", "docs/ü report.md", "docs/b")["path"] == "docs/b"
    with pytest.raises(sdk.WorkspaceFileExistsError):
        files.move("task-1", "docs/b", "docs/large")
    listed = [entry["path"] for entry in files.list("task-1", recursive=True, limit=1)]
    assert listed == ["docs", "docs/b", "docs/large"]
    with pytest.raises(sdk.DirectoryNotEmptyError):
        files.delete("task-1", "docs")
    files.delete("task-1", "docs", recursive=True)
    assert files.list("task-1").all() == []


def test_snapshots_and_forks(artifacts: Artifacts) -> None:
    artifacts.workspaces.create("origin")
    artifacts.files.write("origin", "a", b"one")
    snapshot = artifacts.workspaces.snapshot("origin", name="v1")
    assert snapshot["address"] == "acme/origin@v1"
    with pytest.raises(sdk.SnapshotExistsError):
        artifacts.workspaces.snapshot("origin", name="v1")
    artifacts.files.write("origin", "a", b"two")
    assert artifacts.workspaces.fork("origin", "forked", snapshot="v1")["forked_from"] == "acme/origin@v1"
    assert artifacts.files.read("forked", "a") == b"one"
    assert artifacts.files.read("origin", "a") == b"two"
    assert [item["id"] for item in artifacts.workspaces.list_snapshots("origin")] == [snapshot["id"]]
    artifacts.workspaces.delete_snapshot("origin", "v1", wait_ms=0)
    with pytest.raises(sdk.SnapshotNotFoundError):
        artifacts.workspaces.get_snapshot("origin", "none")


def test_quotas_are_given_changed_and_lifted(artifacts: Artifacts) -> None:
    artifacts.platform.create_tenant("hooli", quota_bytes=100)
    made = artifacts.workspaces.create("hooli-1", tenant_slug="hooli", quota_bytes=60, quota_inodes=10)
    assert made["tenant_slug"] == "hooli"
    with pytest.raises(sdk.QuotaExceededError):
        artifacts.workspaces.fork("hooli-1", "hooli-2")
    changed = artifacts.workspaces.set_quotas("hooli-1", quota_bytes=70, quota_inodes=None)
    assert changed["quota_bytes"] == 70 and "quota_inodes" not in changed
    assert artifacts.workspaces.set_quotas("hooli-1", quota_inodes=5)["quota_bytes"] == 70
    with pytest.raises(sdk.QuotaExceededError):
        artifacts.platform.set_tenant_quotas("hooli", quota_bytes=69)
    usage = artifacts.platform.tenant_usage("hooli")
    assert (usage["workspaces"], usage["given_bytes"], usage["quota_bytes"]) == (1, 70, 100)
    assert "quota_bytes" not in artifacts.platform.set_tenant_quotas("hooli", quota_bytes=None)


def test_the_audit_trail_is_listed_and_followed_and_everything_is_revoked_in_one_call(node: Node) -> None:
    with Artifacts(node.account("audited"), node.url) as mine:
        other = mine.api_keys.create()
        events = mine.audit.events(kind="tenant_created")
        assert next(events)["type"] == "ready"
        mine.platform.create_tenant("t")
        told = next(events)
        events.close()
        assert told["type"] == "entry" and mine.audit.list(tenant_slug="t", limit=1).all() == [told["entry"]]
        key_id = mine.whoami()["key_id"]
        assert told["entry"]["by"] == {"kind": "api_key", "key_id": key_id}
        mine.platform.create_tenant("u")
        again = mine.audit.events(kind="tenant_created", last_event_id=told["id"])
        assert next(again)["entry"]["tenant_slug"] == "u"
        again.close()
        assert mine.platform.revoke_everything(wait_ms=0)["kept_key_id"] == key_id
        with Artifacts(other["key"], node.url) as ended, pytest.raises(sdk.UnauthorizedError):
            ended.whoami()
        assert len(mine.audit.list(kind="everything_revoked").all()) == 1


def test_a_node_that_is_not_there() -> None:
    with Artifacts("tbo_x", "http://127.0.0.1:1", retries=0) as nowhere:
        with pytest.raises(sdk.ApiConnectionError):
            nowhere.whoami()
