"""Makes most requests about something that there is: of what is made up alone nearly all would be answered 404."""

from __future__ import annotations

import os
import random
from typing import Any, Dict, Optional

import httpx
import schemathesis

API = httpx.Client(
    base_url=os.environ["SCHEMA_URL"], headers={"authorization": f"Bearer {os.environ['SCHEMA_KEY']}"}, timeout=30
)
#: The key that all this is asked with; ids that were seen in answers are used again, and this one must not be revoked.
OWN_KEY = API.get("/v1/whoami").json()["key_id"]
#: Whether a value that was made up gives way to a real one: three times in four, the same ones in every run.
CHANCE = random.Random(0)
#: No request waits longer for a lock; the tests would.
LONGEST_WAIT_MS = 20


def made(path: str, **body: Any) -> Any:
    """What is made anew, or was made before."""
    answer = API.post(path, json=body)
    return answer.json() if answer.is_success else {}


def workspace(name: str) -> str:
    made("/v1/workspaces", name=name)
    return name


def tenant(slug: str) -> str:
    made("/v1/tenants", slug=slug)
    return slug


def file(path: str) -> str:
    API.put(f"/v1/workspaces/acme/{workspace('task-1')}/files/{path}?parents=true", content=b"content")
    return path


def snapshot(name: str) -> str:
    made(f"/v1/workspaces/acme/{workspace('task-1')}/snapshots", name=name)
    return name


def identifier(operation: str) -> str:
    """The id of something that the operation is about."""
    if "grant" in operation:
        tenant("acme")
        return str(made(f"/v1/workspaces/acme/{workspace('task-1')}/grants", tenant_slug="acme", mode="rw").get("id"))
    if "key" in operation:
        return str(made("/v1/api-keys", ttl_seconds=3600).get("id"))
    return "ses_00000000000000000000000000"


def real(operation: str, name: str) -> Optional[str]:
    """Something that there is for a parameter of a path. What is to be deleted is made anew each time."""
    is_end = operation.startswith("delete")
    if name == "handle":
        return "acme"
    if name == "name":
        return workspace("doomed" if is_end and operation.endswith("workspace") else "task-1")
    if name == "slug":
        return tenant("doomed" if is_end else "acme")
    if name == "id":
        return identifier(operation)
    if name == "path":
        return file("doomed" if is_end else "a.txt")
    if name == "snapshot":
        return snapshot("doomed" if is_end else "v1")
    return {"lock": "deploy", "runtime_id": "run-1"}.get(name)


@schemathesis.hook
def map_path_parameters(ctx: Any, path_parameters: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    operation = ctx.operation.definition.raw["operationId"]
    if not path_parameters or CHANCE.random() < 0.25:
        return path_parameters
    return {name: real(operation, name) or value for name, value in path_parameters.items()}


@schemathesis.hook
def map_body(ctx: Any, body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    operation = ctx.operation.definition.raw["operationId"]
    wait = body.get("wait_ms")
    if isinstance(wait, int) and wait > LONGEST_WAIT_MS and operation == "acquire_lock" and wait <= 3_600_000:
        body["wait_ms"] = LONGEST_WAIT_MS
    if CHANCE.random() < 0.25:
        return body
    if isinstance(body.get("workspace"), str):
        body["workspace"] = f"acme/{workspace('task-1')}"
    if isinstance(body.get("tenant_slug"), str):
        body["tenant_slug"] = tenant("acme")
    if isinstance(body.get("from"), str):
        body["from"] = file("moved")
    if isinstance(body.get("snapshot"), str):
        body["snapshot"] = snapshot("v1")
    if isinstance(body.get("lock_id"), str):
        taken = made("/v1/workspaces/acme/task-1/locks/deploy/acquire", mode="exclusive", ttl_ms=1000)
        body["lock_id"] = taken.get("lock_id", body["lock_id"])
    return body


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: Any) -> None:
    if OWN_KEY in (case.path_parameters or {}).values():
        case.path_parameters["id"] = identifier("revoke_api_key")
