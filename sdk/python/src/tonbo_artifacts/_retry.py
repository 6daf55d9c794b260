"""When a call is tried again, and after how long. Pure: time and chance are passed in. All times are in seconds."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Optional

from ._errors import ApiConnectionError, ApiError

# The first pause is this long at most, each later one twice as long.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0
# A node that asks for more is not waited for.
_LONGEST_REQUESTED_PAUSE = 60.0


def is_transient(error: BaseException) -> bool:
    """Whether the same call may well succeed a little later."""
    if isinstance(error, ApiError):
        return error.status in (429, 502, 503, 504)
    return isinstance(error, ApiConnectionError)


def pause(error: BaseException, tries: int, chance: float) -> Optional[float]:
    """How long to pause before try number ``tries`` + 1; ``None`` for not to try again.

    ``chance`` is a number from 0 to 1: clients that failed together must not come back together.
    """
    if not is_transient(error):
        return None
    most = min(_FIRST_PAUSE * 2.0 ** (tries - 1), _LONGEST_PAUSE)
    length = most * (0.5 + chance / 2)
    requested = error.retry_after if isinstance(error, ApiError) else None
    if requested is None:
        return length
    return None if requested > _LONGEST_REQUESTED_PAUSE else requested + length * chance / 2


def retry_after(header: Optional[str], now: float) -> Optional[float]:
    """``Retry-After`` (RFC 9110 section 10.2.3): a number of seconds, or a date."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (TypeError, ValueError):
        return None
