from __future__ import annotations

from typing import NamedTuple, Optional
from urllib.parse import quote

from ._errors import ConfigurationError


class Address(NamedTuple):
    """A workspace as callers name it."""

    handle: Optional[str]
    name: str


def parse_address(text: str) -> Address:
    """Reads ``name``, ``handle/name`` or ``artifacts://handle/name``. Which names are good is for the node to say."""
    parts = text[len("artifacts://") :].split("/") if text.startswith("artifacts://") else text.split("/")
    if len(parts) == 1 and parts[0]:
        return Address(None, parts[0])
    if len(parts) == 2 and all(parts):
        return Address(parts[0], parts[1])
    raise ConfigurationError(
        f"`{text}` names no workspace: give `name`, `handle/name` or `artifacts://handle/name`"
    )


def segment(text: str) -> str:
    """One segment of a path in a URL. ``.`` and ``..`` would be taken for steps."""
    if text in ("", ".", ".."):
        raise ConfigurationError(f"`{text}` cannot be part of a path")
    return quote(text, safe="")


def file_path(path: str) -> str:
    """The path of a file in a workspace, with or without a slash before it."""
    return "/".join(segment(part) for part in path.lstrip("/").split("/"))
