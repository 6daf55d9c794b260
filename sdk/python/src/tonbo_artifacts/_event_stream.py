"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far as they are used here."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional


class StreamEvent(NamedTuple):
    """One event."""

    type: str
    #: Empty if none was given so far.
    id: str
    data: str


class EventParser:
    """Puts events together from bytes that come in pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._type = ""
        self._id = ""
        self._data: List[str] = []

    def push(self, piece: bytes) -> Iterator[StreamEvent]:
        """The events that ``piece`` completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            event = self._line(line.decode("utf-8", "replace").rstrip("\r"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Optional[StreamEvent]:
        if line == "":
            event = StreamEvent(self._type or "message", self._id, "\n".join(self._data)) if self._data else None
            self._type, self._data = "", []
            return event
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        # A line without a field is a comment: it keeps the connection alive.
        if field == "event":
            self._type = value
        elif field == "id":
            self._id = value
        elif field == "data":
            self._data.append(value)
        return None
