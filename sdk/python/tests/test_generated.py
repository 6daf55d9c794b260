"""The blocking half is made of the other, the types hold, and the wheel has everything in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from conftest import PACKAGE


def test_the_blocking_half_is_up_to_date() -> None:
    subprocess.run([sys.executable, PACKAGE / "scripts/unasync.py", "--check"], check=True)


def test_the_types_hold() -> None:
    subprocess.run([sys.executable, "-m", "mypy", "src", "scripts", "tests"], cwd=PACKAGE, check=True)


def test_the_wheel_is_typed_and_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    sources = {str(path.relative_to(PACKAGE / "src")) for path in (PACKAGE / "src").rglob("*.py")}
    assert sources | {"tonbo_artifacts/py.typed"} <= names
