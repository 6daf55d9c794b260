"""The README, from top to bottom, with the package as it is published."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import PACKAGE
from node import Node


def test_readme(node: Node, wheel: Path, tmp_path: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    assert len(snippets) >= 4
    program = tmp_path / "readme.py"
    program.write_text("\n".join(snippets))
    environment = {
        **os.environ,
        "TONBO_API_URL": node.url,
        "TONBO_API_KEY": node.account("readme"),
        # A wheel is an archive that can be imported from, so it stands before what is installed.
        "PYTHONPATH": str(wheel),
    }
    which = "import tonbo_artifacts; print(tonbo_artifacts.__file__)"
    found = subprocess.run([sys.executable, "-c", which], env=environment, check=True, capture_output=True, text=True)
    assert str(wheel) in found.stdout
    subprocess.run([sys.executable, program], env=environment, cwd=tmp_path, check=True)
