"""Asks a fresh node all that its description allows, and much that it does not, with schemathesis: no answer may be a 5xx, or one that the
description does not know. `SCHEMA_EXAMPLES` says how many requests are made up for each call, `SCHEMA_SEED` which.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "sdk/python/tests"))

from node import running_node  # noqa: E402

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="artifacts-schema-") as directory, running_node(Path(directory)) as node:
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
            "SCHEMA_URL": node.url,
            "SCHEMA_KEY": node.account("acme"),
            "SCHEMA_ADMIN_TOKEN": node.admin_token(),
        }
        command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")]
        command += ["run", f"{node.url}/openapi.json", "--checks", ",".join(CHECKS)]
        command += ["--max-examples", os.environ.get("SCHEMA_EXAMPLES", "25")]
        if "SCHEMA_SEED" in os.environ:
            command += ["--seed", os.environ["SCHEMA_SEED"]]
        status = subprocess.run(command, env=environment, cwd=directory, check=False).returncode
        key = {"authorization": f"Bearer {environment['SCHEMA_KEY']}"}
        assert httpx.get(f"{node.url}/v1/whoami", headers=key).is_success, "the key was revoked, so little was asked"
        panics = [line for line in node.log().splitlines() if "panicked" in line]
        print("\n".join(panics), file=sys.stderr)
        return status or bool(panics)


if __name__ == "__main__":
    sys.exit(main())
