"""A control node for tests: a process on a free port of the loopback interface. Nothing of it is left."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import httpx

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("ARTIFACTS_BIN", str(ROOT / "target/debug/artifacts"))
PATIENCE = 60.0


class Node:
    """Where it is, and how to get into it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self._directory = directory

    def admin_token(self) -> str:
        return (self._directory / "data/admin-token").read_text().strip()

    def account(self, handle: str) -> str:
        """Makes an account; gives its key."""
        headers = {"authorization": f"Bearer {self.admin_token()}"}
        answer = httpx.post(f"{self.url}/v1/accounts", json={"handle": handle}, headers=headers)
        return str(answer.raise_for_status().json()["api_key"]["key"])

    def openapi(self) -> Any:
        return httpx.get(f"{self.url}/openapi.json").json()

    def log(self) -> str:
        return (self._directory / "log").read_text()


@contextmanager
def running_node(directory: Path) -> Iterator[Node]:
    """Runs one in an empty directory."""
    address = f"127.0.0.1:{_free_port()}"
    node = Node(f"http://{address}", directory)
    with open(directory / "log", "wb") as log:
        arguments = [BINARY, "node", "--data", str(directory / "data"), "--listen", address]
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while not _ready(node.url):
            ended = process.poll() is not None or time.monotonic() > end
            assert not ended, f"the node does not get ready:\n{node.log()[-8192:]}"
            time.sleep(0.02)
        yield node
        assert process.poll() is None, f"the node has ended:\n{node.log()[-8192:]}"
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False
