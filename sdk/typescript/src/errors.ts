/** Anything that this package throws by itself. */
export class ArtifactsError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** What the client was made with, or is called with, cannot work. */
export class ConfigurationError extends ArtifactsError {}

/** No node answered: the network, or the node, failed. The request may have been carried out. */
export class ConnectionError extends ArtifactsError {}

/** No answer came within `timeoutMs`. The request may have been carried out. */
export class TimeoutError extends ArtifactsError {}

/** The lock was not held any more before the work under it was done. */
export class LockLostError extends ArtifactsError {}

/** What the API says with an error. */
export interface ErrorDetails {
  code: string;
  message: string;
  status: number;
  hint?: string;
  requestId?: string;
  retryAfterMs?: number;
}

/** The API refused. There is a class for each code; `code` itself is for those that this version does not know. */
export class ApiError extends ArtifactsError {
  /** What went wrong, for programs. */
  readonly code: string;
  /** The status of the answer. */
  readonly status: number;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** Under which the node logged the request. */
  readonly requestId: string | undefined;
  /** How long the node asks to wait before another try, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(details: ErrorDetails) {
    super(details.message);
    this.code = details.code;
    this.status = details.status;
    this.hint = details.hint;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** 401: the credential is missing, unknown, expired or revoked. */
export class UnauthorizedError extends ApiError {}
/** 403: outside the credential's scope. */
export class ForbiddenError extends ApiError {}

/** 404: it does not exist, or is another account's. */
export class NotFoundError extends ApiError {}
export class WorkspaceNotFoundError extends NotFoundError {}
export class TenantNotFoundError extends NotFoundError {}
export class GrantNotFoundError extends NotFoundError {}
export class SessionNotFoundError extends NotFoundError {}
export class KeyNotFoundError extends NotFoundError {}
export class SnapshotNotFoundError extends NotFoundError {}
export class FileNotFoundError extends NotFoundError {}
/** 405: a node of another version, or not a node. */
export class MethodNotAllowedError extends ApiError {}

/** 409: something is in the way. */
export class ConflictError extends ApiError {}
export class WorkspaceExistsError extends ConflictError {}
export class TenantExistsError extends ConflictError {}
export class HandleExistsError extends ConflictError {}
export class WorkspaceNotActiveError extends ConflictError {}
export class TicketInUseError extends ConflictError {}
/** The lock was not free in time, or is in use in another mode. */
export class LockHeldError extends ConflictError {}
/** Waiting for the lock would never end; the message names the circle. */
export class DeadlockError extends ConflictError {}
export class SnapshotExistsError extends ConflictError {}
export class FileExistsError extends ConflictError {}
export class NotADirectoryError extends ConflictError {}
export class IsADirectoryError extends ConflictError {}
export class DirectoryNotEmptyError extends ConflictError {}
/** The idempotency key was used for another request. */
export class IdempotencyConflictError extends ConflictError {}

/** 412: the lock is not held under this id any more. */
export class StaleTokenError extends ApiError {}
/** 412: the file is not in the state that the call asks for. */
export class PreconditionFailedError extends ApiError {}
/** 416: the file has no such bytes. */
export class RangeNotSatisfiableError extends ApiError {}
/** 413: the body is too long. */
export class PayloadTooLargeError extends ApiError {}
/** 415: the body is not what the call takes. */
export class UnsupportedMediaTypeError extends ApiError {}
/** 422: a value breaks its rule; the message names it. */
export class InvalidRequestError extends ApiError {}
/** 426: node and agent share no version of the protocol. */
export class UnsupportedVersionError extends ApiError {}
/** 429: too many calls with this credential. */
export class RateLimitedError extends ApiError {}
/** 500: the node failed; give its operator the request id. */
export class InternalError extends ApiError {}
/** 503: try again. */
export class UnavailableError extends ApiError {}
/** 507: the quota of the workspace is used up. */
export class QuotaExceededError extends ApiError {}

/** The class of each code. */
export const ERRORS_BY_CODE: Readonly<Record<string, new (details: ErrorDetails) => ApiError>> = {
  unauthorized: UnauthorizedError,
  forbidden: ForbiddenError,
  not_found: NotFoundError,
  workspace_not_found: WorkspaceNotFoundError,
  tenant_not_found: TenantNotFoundError,
  grant_not_found: GrantNotFoundError,
  session_not_found: SessionNotFoundError,
  key_not_found: KeyNotFoundError,
  snapshot_not_found: SnapshotNotFoundError,
  file_not_found: FileNotFoundError,
  workspace_exists: WorkspaceExistsError,
  tenant_exists: TenantExistsError,
  handle_exists: HandleExistsError,
  workspace_not_active: WorkspaceNotActiveError,
  ticket_in_use: TicketInUseError,
  lock_held: LockHeldError,
  deadlock: DeadlockError,
  snapshot_exists: SnapshotExistsError,
  file_exists: FileExistsError,
  not_a_directory: NotADirectoryError,
  is_a_directory: IsADirectoryError,
  directory_not_empty: DirectoryNotEmptyError,
  idempotency_conflict: IdempotencyConflictError,
  stale_token: StaleTokenError,
  precondition_failed: PreconditionFailedError,
  range_not_satisfiable: RangeNotSatisfiableError,
  invalid_request: InvalidRequestError,
  payload_too_large: PayloadTooLargeError,
  method_not_allowed: MethodNotAllowedError,
  unsupported_media_type: UnsupportedMediaTypeError,
  unsupported_version: UnsupportedVersionError,
  quota_exceeded: QuotaExceededError,
  rate_limited: RateLimitedError,
  unavailable: UnavailableError,
  internal: InternalError,
};

/**
 * The error that an answer tells of. Something between client and node, such as a proxy, may answer without a body of
 * the API's; then the code is `http_<status>`.
 */
export function errorOf(status: number, body: string, headers: { requestId?: string; retryAfterMs?: number }): ApiError {
  const said = parse(body);
  const details: ErrorDetails = {
    code: said?.code ?? `http_${status}`,
    message: said?.message ?? `the answer has the status ${status}, and no error of the API in it`,
    status,
    requestId: said?.request_id ?? headers.requestId,
  };
  if (said?.hint !== undefined) details.hint = said.hint;
  if (headers.retryAfterMs !== undefined) details.retryAfterMs = headers.retryAfterMs;
  // Not a property that every object has.
  const known = Object.hasOwn(ERRORS_BY_CODE, details.code) ? ERRORS_BY_CODE[details.code] : undefined;
  return new (known ?? ApiError)(details);
}

function parse(body: string): { code: string; message: string; hint?: string; request_id?: string } | undefined {
  try {
    const said = JSON.parse(body);
    return typeof said?.code === 'string' && typeof said?.message === 'string' ? said : undefined;
  } catch {
    return undefined;
  }
}
