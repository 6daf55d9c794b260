from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Iterator

import httpx
import pytest

from node import Node, running_node

PACKAGE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="session")
def key(node: Node) -> str:
    """The key of the account `acme`, which has a workspace `task-1`."""
    key = node.account("acme")
    headers = {"authorization": f"Bearer {key}"}
    httpx.post(f"{node.url}/v1/workspaces", json={"name": "task-1"}, headers=headers).raise_for_status()
    return key


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is published."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out)]
    subprocess.run([*build, str(PACKAGE)], check=True)
    return next(out.glob("*.whl"))
