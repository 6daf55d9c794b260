from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Optional
from urllib.parse import urlsplit

from ._errors import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:7700"
DEFAULT_TIMEOUT = 30.0
DEFAULT_RETRIES = 4


@dataclass(frozen=True)
class Settings:
    """How to reach the API, with everything filled in."""

    api_key: str
    base_url: str
    timeout: float
    retries: int


def settings(
    api_key: Optional[str], base_url: Optional[str], timeout: float, retries: int, env: Mapping[str, str]
) -> Settings:
    """Fills in what was not given. Raises :class:`ConfigurationError`."""
    key = (env.get("TONBO_API_KEY", "") if api_key is None else api_key).strip()
    if key == "":
        raise ConfigurationError("there is no API key: set TONBO_API_KEY, or give `api_key`")
    if re.fullmatch(r"[\x21-\x7e]+", key) is None:
        raise ConfigurationError("the API key holds characters that no key has; copy it again")
    url = (env.get("TONBO_API_URL") if base_url is None else base_url) or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(f"`{url}` is not a URL: give TONBO_API_URL or `base_url` as in {DEFAULT_URL}")
    if timeout <= 0:
        raise ConfigurationError("`timeout` must be greater than 0")
    if retries < 0:
        raise ConfigurationError("`retries` must be 0 or more")
    return Settings(key, url.rstrip("/"), timeout, retries)
