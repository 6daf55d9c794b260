"""Every operation of the API by its id: how this client calls it, with everything that it can be given."""

from __future__ import annotations

from typing import Any, Callable, Dict

from tonbo_artifacts import Artifacts

PAGE: Dict[str, Any] = {"limit": 2, "cursor": "abc"}
WHOSE: Dict[str, Any] = {"tenant_slug": "acme", "runtime_id": "run-1", "workspace": "acme/task-1"}


def _first(events: Any) -> None:
    next(events)
    events.close()


def _read(client: Artifacts) -> None:
    with client.files.open("acme/task-1", "a b/ü", start=0, end=1, if_match='"1"', if_none_match='"2"') as content:
        content.read()


CALLS: Dict[str, Callable[[Artifacts], Any]] = {
    "whoami": lambda c: c.whoami(),
    "create_api_key": lambda c: c.api_keys.create(
        name="ci", scope={"mode": "ro"}, expires_at="2030-01-01T00:00:00Z", ttl_seconds=60
    ),
    "list_api_keys": lambda c: c.api_keys.list(**PAGE).page(),
    "revoke_api_key": lambda c: c.api_keys.revoke("key_1", wait_ms=5),
    "create_mesh_credential": lambda c: c.mesh_credentials.create(
        name="host-7", expires_at="2030-01-01T00:00:00Z", ttl_seconds=60
    ),
    "list_mesh_credentials": lambda c: c.mesh_credentials.list(**PAGE).page(),
    "revoke_mesh_credential": lambda c: c.mesh_credentials.revoke("key_1"),
    "show_cells": lambda c: c.mesh_credentials.cells(),
    "create_tenant": lambda c: c.platform.create_tenant(
        "acme", external_id="cus_42", metadata={"plan": "pro"}, quota_bytes=1, quota_inodes=1
    ),
    "get_tenant": lambda c: c.platform.get_tenant("acme"),
    "change_tenant": lambda c: c.platform.set_tenant_quotas("acme", quota_bytes=1, quota_inodes=1),
    "tenant_usage": lambda c: c.platform.tenant_usage("acme"),
    "list_tenants": lambda c: c.platform.list_tenants(**PAGE).page(),
    "delete_tenant": lambda c: c.platform.delete_tenant("acme", wait_ms=5),
    "create_grant": lambda c: c.platform.create_access_grant(
        "acme/task-1", tenant_slug="acme", runtime_id="run-1", mode="rw", ttl_seconds=60, subpath="a"
    ),
    "get_grant": lambda c: c.platform.get_access_grant("grt_1"),
    "list_grants": lambda c: c.platform.list_access_grants(**WHOSE, **PAGE).page(),
    "revoke_grant": lambda c: c.platform.revoke_access_grant("grt_1", wait_ms=5),
    "revoke_grants": lambda c: c.platform.revoke_access_grants(**WHOSE, wait_ms=5),
    "revoke_everything": lambda c: c.platform.revoke_everything(wait_ms=5),
    "create_mount_ticket": lambda c: c.platform.create_mount_ticket(
        "acme", "run-1", workspace="acme/task-1", mode="rw", ttl_seconds=60, subpath="a", renewable=True
    ),
    "list_sessions": lambda c: c.platform.list_sessions(**WHOSE, **PAGE).page(),
    "end_session": lambda c: c.platform.end_session("ses_1", wait_ms=5),
    "usage": lambda c: c.platform.list_usage(tenant_slug="acme", **PAGE).page(),
    "create_workspace": lambda c: c.workspaces.create(
        "task-1", tenant_slug="acme", quota_bytes=1, quota_inodes=1, region="local"
    ),
    "get_workspace": lambda c: c.workspaces.get("acme/task-1"),
    "list_workspaces": lambda c: c.workspaces.list(**PAGE).page(),
    "change_workspace": lambda c: c.workspaces.set_quotas("acme/task-1", quota_bytes=1, quota_inodes=1),
    "delete_workspace": lambda c: c.workspaces.delete("artifacts://acme/task-1", wait_ms=5),
    "workspace_usage": lambda c: c.workspaces.usage("acme/task-1"),
    "create_snapshot": lambda c: c.workspaces.snapshot("acme/task-1", name="v1"),
    "list_snapshots": lambda c: c.workspaces.list_snapshots("acme/task-1", **PAGE).page(),
    "get_snapshot": lambda c: c.workspaces.get_snapshot("acme/task-1", "v1"),
    "delete_snapshot": lambda c: c.workspaces.delete_snapshot("acme/task-1", "v1", wait_ms=5),
    "fork_workspace": lambda c: c.workspaces.fork(
        "acme/task-1", "fork", snapshot="v1", quota_bytes=1, quota_inodes=1
    ),
    "get_file": lambda c: _read(c),
    "put_file": lambda c: c.files.write(
        "acme/task-1", "a/b", b"x", if_match='"1"', if_none_match="*", parents=True, mode="0644"
    ),
    "delete_file": lambda c: c.files.delete("acme/task-1", "a/b", recursive=True, if_match='"1"'),
    "list_files": lambda c: c.files.list("acme/task-1", path="a", recursive=True, **PAGE).page(),
    "move_file": lambda c: c.files.move("acme/task-1", "a", "b", overwrite=True),
    "list_audit": lambda c: c.audit.list(
        **WHOSE, kind="session_opened", since="2030-01-01T00:00:00Z", **PAGE
    ).page(),
    "audit_events": lambda c: _first(c.audit.events(**WHOSE, kind="session_opened", last_event_id="7")),
    "acquire_lock": lambda c: c.locks.acquire(
        "acme/task-1", "deploy", mode="semaphore", permits=2, ttl_ms=5000, wait_ms=5, note="n", owner="o"
    ),
    "renew_lock": lambda c: c.locks.renew("acme/task-1", "deploy", lock_id="lck_1", ttl_ms=5000),
    "release_lock": lambda c: c.locks.release("acme/task-1", "deploy", lock_id="lck_1"),
    "list_locks": lambda c: c.locks.list("acme/task-1", **PAGE).page(),
    "lock_events": lambda c: _first(c.locks.events("acme/task-1", lock="deploy", last_event_id="7")),
}

#: What the client leaves out, and why.
NOT_CALLED = {
    "create_account": "takes the admin token of the node, which no platform backend holds",
    "show_cluster": "takes the admin token of the node",
    "rotate_signing_key": "takes the admin token of the node; `artifacts node rotate-signing-key`",
    "check_workspace": "an operator's: `artifacts fsck`, which waits as long as it takes",
    "healthz": "for monitoring",
    "readyz": "for monitoring",
    "metrics": "for monitoring",
    "jwks": "for whoever checks tickets offline, with a library for JSON Web Keys",
    "openapi": "describes the others",
}

#: Methods that are made of other calls.
COMPOSED = {"files.read", "locks.hold", "platform.total_usage"}

#: Headers that the client leaves out.
NOT_SENT = {
    # An etag says more exactly what they say by the second.
    "get_file": ["if-range", "if-modified-since"],
}
