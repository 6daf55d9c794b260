"""What is sent to the API, apart from how."""

from __future__ import annotations

import enum
import json
import uuid
from dataclasses import dataclass, field
from typing import Any, AsyncIterable, Dict, Iterable, Mapping, Optional, Union
from urllib.parse import urlencode

from ._errors import ApiError, error_of
from ._settings import Settings
from ._version import VERSION

#: The bytes of a body. What is not all in memory is read once, so such a call is not tried again.
Content = Union[bytes, str, Iterable[bytes], AsyncIterable[bytes]]


class Null(enum.Enum):
    """What is to be sent as JSON's null: a ``None`` is left out."""

    NULL = None


@dataclass(frozen=True)
class Call:
    """One call. What is ``None`` in it is left out."""

    method: str
    #: From ``/v1`` on, encoded.
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Optional[str]] = field(default_factory=dict)
    #: Sent as JSON.
    json: Optional[Mapping[str, Any]] = None
    #: Sent as it is.
    content: Optional[Content] = None
    #: How long the node may take for what it was asked to wait for, beside the time limit, in milliseconds.
    wait_ms: Optional[int] = None

    def url(self, settings: Settings) -> str:
        """Where it goes."""
        words = {True: "true", False: "false"}
        query = {name: words[value] if isinstance(value, bool) else value for name, value in self.query.items() if value is not None}
        tail = f"?{urlencode(query)}" if query else ""
        return f"{settings.base_url}{self.path}{tail}"

    def request_headers(self, settings: Settings, idempotency_key: Optional[str]) -> Dict[str, str]:
        """With the credential in them."""
        headers = {"authorization": f"Bearer {settings.api_key}", "user-agent": f"artifacts-python/{VERSION}"}
        if self.json is not None:
            headers["content-type"] = "application/json"
        elif self.content is not None:
            headers["content-type"] = "application/octet-stream"
        headers.update({name: value for name, value in self.headers.items() if value is not None})
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        return headers

    def body(self) -> Optional[Content]:
        """What is sent."""
        if self.json is not None:
            given = {name: value for name, value in self.json.items() if value is not None}
            return json.dumps({name: None if value is Null.NULL else value for name, value in given.items()}).encode()
        return self.content

    def key(self, given: Optional[str]) -> Optional[str]:
        """One for all tries of a POST, so that it is carried out once."""
        return (given or str(uuid.uuid4())) if self.method == "POST" else None

    def tries(self, retries: int) -> int:
        """How often it may be sent."""
        once = self.content is not None and not isinstance(self.content, (bytes, str))
        return 1 if once else 1 + retries

    def after(self, error: BaseException, tries: int) -> BaseException:
        """The error to raise after so many tries.

        An earlier one may have been carried out although its answer was lost: then a later one finds nothing to delete,
        or another state.
        """
        doubtful = isinstance(error, ApiError) and error.status in (404, 412) and self.method in ("DELETE", "PUT")
        if isinstance(error, ApiError) and doubtful and tries > 1:
            hint = "an earlier try of this call was not answered, and may have done it"
            said = {"code": error.code, "message": error.message, "hint": hint, "request_id": error.request_id}
            return error_of(error.status, json.dumps(said).encode())
        return error
