"""Makes the blocking half of the package of the other one: `_sync` of `_async`.

Without arguments it writes; with `--check` it changes nothing, and fails if something is not up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Dict

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "tonbo_artifacts"
#: Written by hand on both sides: what holds a lock is a task here and a thread there.
BY_HAND = {"holding.py"}
WORDS = [
    (r"\bimport asyncio\b", "import time"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\bAwaitable\[(\w+(?:\.\w+)?)\]", r"\1"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\ba(close|read|iter_raw|iter_bytes)\b", r"\1"),
    (r"\b_async\b", "_sync"),
]


def blocking(text: str) -> str:
    """A module with everything asynchronous taken out of it."""
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    lines = text.split("\n")
    # What was imported twice, or is not needed any more.
    seen = set()
    kept = []
    for line in lines:
        if line.startswith("from typing import"):
            names = [name.strip() for name in line[len("from typing import") :].split(",")]
            line = "from typing import " + ", ".join(sorted({name for name in names if name != "Awaitable"}))
        if line.startswith("import "):
            if line in seen:
                continue
            seen.add(line)
        kept.append(line)
    return "\n".join(kept)


def generated() -> Dict[Path, str]:
    """Every file that is made, with what is to be in it."""
    sources = sorted(path for path in (PACKAGE / "_async").glob("*.py") if path.name not in BY_HAND)
    return {PACKAGE / "_sync" / path.name: blocking(path.read_text()) for path in sources}


def main() -> int:
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is not what scripts/unasync.py makes; run it", file=sys.stderr)
        return 1 if stale else 0
    for path, text in generated().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
