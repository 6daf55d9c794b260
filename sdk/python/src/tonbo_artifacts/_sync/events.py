from __future__ import annotations

import time
import random
from typing import Any, Callable, Generator, Mapping, Optional, TypeVar

import httpx

from .._call import Call
from .._errors import ApiConnectionError, ArtifactsError
from .._event_stream import EventParser, StreamEvent
from .._retry import is_transient, pause
from .transport import Transport

# A comment comes every 15 seconds. Where three of them are missing the connection is dead.
_LONGEST_SILENCE = 45.0
_FIRST_PAUSE = 0.25

T = TypeVar("T")


def events(
    transport: Transport,
    where: Callable[[], str],
    query: Mapping[str, Any],
    last_event_id: Optional[str],
    told: Callable[[StreamEvent], T],
) -> Generator[T, None, None]:
    """The events of a stream that is opened again, behind the last one that was seen, whenever it ends."""
    path = where()
    last = last_event_id
    failures = 0
    while True:
        length = _FIRST_PAUSE
        parser = EventParser()
        headers = {"accept": "text/event-stream", "last-event-id": last}
        call = Call("GET", path, query=query, headers=headers)
        try:
            with transport.open(call, timeout=_LONGEST_SILENCE, retries=0) as answer:
                for piece in answer.iter_bytes():
                    for event in parser.push(piece):
                        failures = 0
                        last = event.id or last
                        yield told(event)
        except (ArtifactsError, httpx.TransportError) as error:
            broken = ApiConnectionError(str(error)) if isinstance(error, httpx.TransportError) else error
            if not is_transient(broken):
                raise
            length += pause(broken, failures + 1, random.random()) or 0
        failures += 1
        time.sleep(length)
