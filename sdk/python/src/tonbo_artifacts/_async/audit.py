from __future__ import annotations

import json
from typing import AsyncGenerator, Dict, Optional, cast

from .._event_stream import StreamEvent
from .._types import AuditEvent, AuditKind, AuditNews
from .events import events
from .pages import AsyncPaginated
from .transport import AsyncTransport


class AsyncAudit:
    """The account's audit trail: who granted, issued, mounted and revoked what, and what that fenced."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        tenant_slug: Optional[str] = None,
        runtime_id: Optional[str] = None,
        workspace: Optional[str] = None,
        kind: Optional[AuditKind] = None,
        since: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncPaginated[AuditEvent]:
        """Oldest first. ``since``: what was put into the trail at this instant (RFC 3339) or later."""
        query = {**_filter(tenant_slug, runtime_id, workspace, kind), "since": since}
        return AsyncPaginated(self._transport, "/v1/audit", query, limit=limit, cursor=cursor, timeout=timeout)

    def events(
        self,
        *,
        tenant_slug: Optional[str] = None,
        runtime_id: Optional[str] = None,
        workspace: Optional[str] = None,
        kind: Optional[AuditKind] = None,
        last_event_id: Optional[str] = None,
    ) -> AsyncGenerator[AuditNews, None]:
        """The entries as they come, for as long as the credential lets it.

        Begins with ``ready``: list after it, and nothing is missed. With the ``id`` of an earlier one as
        ``last_event_id`` it goes on behind that. A stream that breaks off is taken up where it was.
        """

        async def path() -> str:
            return "/v1/audit/events"

        def told(event: StreamEvent) -> AuditNews:
            if event.type == "ready":
                return {"type": "ready", "id": event.id}
            return {"type": "entry", "id": event.id, "entry": cast(AuditEvent, json.loads(event.data))}

        query = _filter(tenant_slug, runtime_id, workspace, kind)
        return events(self._transport, path, query, last_event_id, told)


def _filter(
    tenant_slug: Optional[str], runtime_id: Optional[str], workspace: Optional[str], kind: Optional[AuditKind]
) -> Dict[str, Optional[str]]:
    return {"tenant_slug": tenant_slug, "runtime_id": runtime_id, "workspace": workspace, "kind": kind}
