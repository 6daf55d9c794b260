"""Everything that this package raises by itself. There is a class for each code of the API's errors."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Type

__all__ = [
    "ApiConnectionError",
    "ApiError",
    "ApiTimeoutError",
    "ArtifactsError",
    "ConfigurationError",
    "ConflictError",
    "DeadlockError",
    "DirectoryNotEmptyError",
    "ERRORS_BY_CODE",
    "ForbiddenError",
    "GrantNotFoundError",
    "HandleExistsError",
    "IdempotencyConflictError",
    "InternalError",
    "InvalidRequestError",
    "IsDirectoryError",
    "KeyNotFoundError",
    "LockHeldError",
    "LockLostError",
    "MethodNotAllowedError",
    "NotDirectoryError",
    "NotFoundError",
    "PayloadTooLargeError",
    "PreconditionFailedError",
    "QuotaExceededError",
    "RangeNotSatisfiableError",
    "RateLimitedError",
    "SessionNotFoundError",
    "SnapshotExistsError",
    "SnapshotNotFoundError",
    "StaleTokenError",
    "TenantExistsError",
    "TenantNotFoundError",
    "TicketInUseError",
    "UnauthorizedError",
    "UnavailableError",
    "UnsupportedMediaTypeError",
    "UnsupportedVersionError",
    "WorkspaceExistsError",
    "WorkspaceFileExistsError",
    "WorkspaceFileNotFoundError",
    "WorkspaceNotActiveError",
    "WorkspaceNotFoundError",
]


class ArtifactsError(Exception):
    """Anything that this package raises by itself."""


class ConfigurationError(ArtifactsError):
    """What the client was made with, or is called with, cannot work."""


class ApiConnectionError(ArtifactsError):
    """No node answered: the network, or the node, failed. The request may have been carried out."""


class ApiTimeoutError(ApiConnectionError):
    """The node said nothing for as long as the time limit. The request may have been carried out."""


class LockLostError(ArtifactsError):
    """The lock was not held any more before the work under it was done."""


class ApiError(ArtifactsError):
    """The API refused. ``code`` is for those that this version has no class for."""

    def __init__(
        self,
        *,
        code: str,
        message: str,
        status: int,
        hint: Optional[str] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        #: What went wrong, for programs.
        self.code = code
        #: What went wrong, for people.
        self.message = message
        #: The status of the answer.
        self.status = status
        #: What to do about it.
        self.hint = hint
        #: Under which the node logged the request.
        self.request_id = request_id
        #: How long the node asks to wait before another try, in seconds.
        self.retry_after = retry_after

    def __str__(self) -> str:
        parts = [f"{self.message} ({self.code})"]
        if self.hint is not None:
            parts.append(f"hint: {self.hint}")
        if self.request_id is not None:
            parts.append(f"request id: {self.request_id}")
        return "; ".join(parts)


class UnauthorizedError(ApiError):
    """401: the credential is missing, unknown, expired or revoked."""


class ForbiddenError(ApiError):
    """403: outside the credential's scope."""


class NotFoundError(ApiError):
    """404: it does not exist, or is another account's."""


class WorkspaceNotFoundError(NotFoundError):
    """404: there is no such workspace."""


class TenantNotFoundError(NotFoundError):
    """404: there is no such tenant."""


class GrantNotFoundError(NotFoundError):
    """404: there is no such grant, or it is revoked."""


class SessionNotFoundError(NotFoundError):
    """404: there is no such session, or it is over."""


class KeyNotFoundError(NotFoundError):
    """404: there is no such API key."""


class SnapshotNotFoundError(NotFoundError):
    """404: there is no such snapshot."""


class WorkspaceFileNotFoundError(NotFoundError):
    """404: there is no such file."""


class MethodNotAllowedError(ApiError):
    """405: a node of another version, or not a node."""


class ConflictError(ApiError):
    """409: something is in the way."""


class WorkspaceExistsError(ConflictError):
    """409: the workspace's name is taken."""


class TenantExistsError(ConflictError):
    """409: the tenant's slug is taken."""


class HandleExistsError(ConflictError):
    """409: the account's handle is taken."""


class WorkspaceNotActiveError(ConflictError):
    """409: the workspace is being deleted."""


class TicketInUseError(ConflictError):
    """409: the ticket's session is live elsewhere."""


class LockHeldError(ConflictError):
    """409: the lock was not free in time, or is in use in another mode."""


class DeadlockError(ConflictError):
    """409: waiting for the lock would never end; the message names the circle."""


class SnapshotExistsError(ConflictError):
    """409: the snapshot's name is taken."""


class WorkspaceFileExistsError(ConflictError):
    """409: there is a file of this name."""


class NotDirectoryError(ConflictError):
    """409: a part of the path is no directory."""


class IsDirectoryError(ConflictError):
    """409: it is a directory, where a file is needed."""


class DirectoryNotEmptyError(ConflictError):
    """409: the directory is not empty."""


class IdempotencyConflictError(ConflictError):
    """409: the idempotency key was used for another request."""


class StaleTokenError(ApiError):
    """412: the lock is not held under this id any more."""


class PreconditionFailedError(ApiError):
    """412: the file is not in the state that the call asks for."""


class RangeNotSatisfiableError(ApiError):
    """416: the file has no such bytes."""


class PayloadTooLargeError(ApiError):
    """413: the body is too long."""


class UnsupportedMediaTypeError(ApiError):
    """415: the body is not what the call takes."""


class InvalidRequestError(ApiError):
    """422: a value breaks its rule; the message names it."""


class UnsupportedVersionError(ApiError):
    """426: node and agent share no version of the protocol."""


class RateLimitedError(ApiError):
    """429: too many calls with this credential."""


class InternalError(ApiError):
    """500: the node failed; give its operator the request id."""


class UnavailableError(ApiError):
    """503: try again."""


class QuotaExceededError(ApiError):
    """507: the quota of the workspace is used up."""


#: The class of each code.
ERRORS_BY_CODE: Dict[str, Type[ApiError]] = {
    "unauthorized": UnauthorizedError,
    "forbidden": ForbiddenError,
    "not_found": NotFoundError,
    "workspace_not_found": WorkspaceNotFoundError,
    "tenant_not_found": TenantNotFoundError,
    "grant_not_found": GrantNotFoundError,
    "session_not_found": SessionNotFoundError,
    "key_not_found": KeyNotFoundError,
    "snapshot_not_found": SnapshotNotFoundError,
    "file_not_found": WorkspaceFileNotFoundError,
    "workspace_exists": WorkspaceExistsError,
    "tenant_exists": TenantExistsError,
    "handle_exists": HandleExistsError,
    "workspace_not_active": WorkspaceNotActiveError,
    "ticket_in_use": TicketInUseError,
    "lock_held": LockHeldError,
    "deadlock": DeadlockError,
    "snapshot_exists": SnapshotExistsError,
    "file_exists": WorkspaceFileExistsError,
    "not_a_directory": NotDirectoryError,
    "is_a_directory": IsDirectoryError,
    "directory_not_empty": DirectoryNotEmptyError,
    "idempotency_conflict": IdempotencyConflictError,
    "stale_token": StaleTokenError,
    "precondition_failed": PreconditionFailedError,
    "range_not_satisfiable": RangeNotSatisfiableError,
    "invalid_request": InvalidRequestError,
    "payload_too_large": PayloadTooLargeError,
    "method_not_allowed": MethodNotAllowedError,
    "unsupported_media_type": UnsupportedMediaTypeError,
    "unsupported_version": UnsupportedVersionError,
    "quota_exceeded": QuotaExceededError,
    "rate_limited": RateLimitedError,
    "unavailable": UnavailableError,
    "internal": InternalError,
}


def error_of(
    status: int, body: bytes, *, request_id: Optional[str] = None, retry_after: Optional[float] = None
) -> ApiError:
    """The error that an answer tells of.

    Something between client and node, such as a proxy, may answer without a body of the API's; then the code is
    ``http_<status>``.
    """
    said = _parse(body)
    code = said.get("code", f"http_{status}")
    kind = ERRORS_BY_CODE.get(code, ApiError)
    return kind(
        code=code,
        message=said.get("message", f"the answer has the status {status}, and no error of the API in it"),
        status=status,
        hint=said.get("hint"),
        request_id=said.get("request_id", request_id),
        retry_after=retry_after,
    )


def _parse(body: bytes) -> Dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    good = isinstance(said, dict) and isinstance(said.get("code"), str) and isinstance(said.get("message"), str)
    return said if good else {}
