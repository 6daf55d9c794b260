//! What a failure looks like from outside: the one place that maps errors to exit codes and prints them.
//!
//! Always true: a failure prints `error: …` and, where there is something to do about it, `hint: …` to stderr (one JSON
//! object with `--format json`), and the exit code says what kind it is. Whoever scripts this command matches on the code.

use std::process::ExitCode;

use artifacts_core::ErrorCode;
use artifacts_mount::MountError;
use serde::Serialize;

use crate::api::ApiError;
use crate::failure::{Exit, Failure};
use crate::output::{Format, Style};

/// A failure as it is printed; as JSON it has the fields of an error of the API.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(skip)]
    exit: Exit,
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    exit_code: u8,
    /// Whether the message holds the advice behind a semicolon, as those of the node and the mount do.
    #[serde(skip)]
    advice_inside: bool,
}

impl Report {
    fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            hint: None,
            request_id: None,
            files: Vec::new(),
            exit_code: exit as u8,
            advice_inside: false,
        }
    }
}

impl Report {
    /// What to show to people.
    fn message_and_hint(&self) -> (&str, Option<&str>) {
        match (&self.hint, self.message.split_once("; ").filter(|_| self.advice_inside)) {
            (None, Some((message, advice))) => (message, Some(advice)),
            (None, None) if self.exit == Exit::NotAuthorised => (&self.message, Some("check TONBO_API_KEY, or run `artifacts login`")),
            (hint, _) => (&self.message, hint.as_deref()),
        }
    }
}

/// The exit code of an answer of the API.
const fn of_error_code(code: ErrorCode, status: u16) -> Exit {
    match code {
        ErrorCode::Unauthorized | ErrorCode::Forbidden => Exit::NotAuthorised,
        ErrorCode::NotFound
        | ErrorCode::WorkspaceNotFound
        | ErrorCode::TenantNotFound
        | ErrorCode::GrantNotFound
        | ErrorCode::SessionNotFound
        | ErrorCode::KeyNotFound
        | ErrorCode::SnapshotNotFound
        | ErrorCode::FileNotFound => Exit::NotFound,
        ErrorCode::WorkspaceExists
        | ErrorCode::TenantExists
        | ErrorCode::HandleExists
        | ErrorCode::SnapshotExists
        | ErrorCode::FileExists
        | ErrorCode::NotADirectory
        | ErrorCode::IsADirectory
        | ErrorCode::DirectoryNotEmpty
        | ErrorCode::WorkspaceNotActive
        | ErrorCode::TicketInUse
        | ErrorCode::LockHeld
        | ErrorCode::Deadlock
        | ErrorCode::IdempotencyConflict
        | ErrorCode::StaleToken
        | ErrorCode::PreconditionFailed => Exit::Conflict,
        ErrorCode::InvalidRequest | ErrorCode::PayloadTooLarge | ErrorCode::UnsupportedMediaType => Exit::Usage,
        ErrorCode::RateLimited | ErrorCode::Unavailable => Exit::Unavailable,
        _ => of_status(status),
    }
}

/// The exit code of an answer whose error code this version does not know.
const fn of_status(status: u16) -> Exit {
    match status {
        400 | 413 | 422 => Exit::Usage,
        401 | 403 => Exit::NotAuthorised,
        404 | 410 => Exit::NotFound,
        409 | 412 | 423 => Exit::Conflict,
        408 | 425 | 429 | 502 | 503 | 504 => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

fn of_api_error(error: &ApiError) -> Report {
    match error {
        ApiError::Answer { status, code, message, hint, request_id } => {
            let known = serde_json::from_value(serde_json::Value::String(code.clone())).ok();
            let exit = known.map_or(of_status(*status), |known| of_error_code(known, *status));
            Report { hint: hint.clone(), request_id: request_id.clone(), advice_inside: true, ..Report::new(exit, code, message) }
        }
        ApiError::Unreachable { .. } => Report {
            hint: Some("check that the node runs and that TONBO_API_URL is right".to_owned()),
            ..Report::new(Exit::Unavailable, "unavailable", error.to_string())
        },
        ApiError::Unreadable { .. } => Report {
            hint: Some("check that TONBO_API_URL is the address of an Artifacts node, and that its version fits this one".to_owned()),
            ..Report::new(Exit::Failed, "unreadable_answer", error.to_string())
        },
        ApiError::Authorities { .. } => Report {
            hint: Some("TONBO_CA_CERT names a PEM file of certificates".to_owned()),
            ..Report::new(Exit::Usage, "usage", error.to_string())
        },
        ApiError::Url { .. } => Report {
            hint: Some("set TONBO_API_URL to something like http://127.0.0.1:7700".to_owned()),
            ..Report::new(Exit::Usage, "usage", error.to_string())
        },
    }
}

/// Why a node does not start.
#[cfg(feature = "node")]
fn of_node_error(error: &artifacts_node::NodeError) -> Report {
    use artifacts_node::NodeError;
    use artifacts_node::blob::BlobError;
    use artifacts_node::cluster::ClusterError;
    use artifacts_node::ring::RingError;
    use artifacts_node::server::ServerError;
    use artifacts_node::store::StoreError;

    let (exit, code) = match error {
        NodeError::Server(ServerError::Bind { source, .. }) if source.kind() == std::io::ErrorKind::AddrInUse => {
            (Exit::Conflict, "address_in_use")
        }
        NodeError::Ring(RingError::Socket { source, .. }) if source.kind() == std::io::ErrorKind::AddrInUse => {
            (Exit::Conflict, "address_in_use")
        }
        NodeError::Encryption(_) => (Exit::Usage, "usage"),
        NodeError::Ring(RingError::Config(_) | RingError::Keys { .. }) => (Exit::Usage, "usage"),
        NodeError::Store(StoreError::Locked { .. }) | NodeError::Blobs(BlobError::Locked { .. }) => {
            (Exit::Conflict, "data_directory_locked")
        }
        NodeError::Blobs(BlobError::Unusable { .. })
        | NodeError::Cluster(ClusterError::Unusable { .. } | ClusterError::Directory { .. } | ClusterError::Record(_)) => {
            (Exit::Usage, "object_store_unusable")
        }
        NodeError::Config(_) | NodeError::Server(ServerError::ReadTls { .. } | ServerError::InvalidTls { .. }) => (Exit::Usage, "usage"),
        _ => (Exit::Failed, "failed"),
    };
    Report { advice_inside: true, ..Report::new(exit, code, error.to_string()) }
}

/// Why a mount did not do what it was asked.
fn of_mount_error(error: &MountError) -> Report {
    let (exit, code) = match error {
        MountError::Refused { code, .. } => (of_error_code(*code, 0), code.as_str()),
        MountError::Unreachable { .. } => (Exit::Unavailable, ErrorCode::Unavailable.as_str()),
        MountError::AlreadyMounted { .. } => (Exit::Conflict, "already_mounted"),
        MountError::Busy { .. } => (Exit::Conflict, "busy"),
        MountError::NotMounted { .. } => (Exit::NotFound, "not_mounted"),
        MountError::Unsaved { .. } => (Exit::Failed, "unsaved"),
        MountError::MountPoint { .. } | MountError::Agent { .. } | MountError::System { .. } => (Exit::Failed, "failed"),
    };
    let mut report = Report { advice_inside: true, ..Report::new(exit, code, error.to_string()) };
    match error {
        MountError::Refused { message, .. } => report.message.clone_from(message),
        MountError::Unsaved { files, .. } => report.files = files.iter().map(|file| file.display().to_string()).collect(),
        _ => {}
    }
    report
}

fn of_error(error: &anyhow::Error) -> Report {
    for cause in error.chain() {
        let mut report = if let Some(failure) = cause.downcast_ref::<Failure>() {
            let Failure { exit, code, message, hint, files } = failure.clone();
            Report { hint, files, ..Report::new(exit, code, message) }
        } else if let Some(error) = cause.downcast_ref::<ApiError>() {
            of_api_error(error)
        } else if let Some(error) = cause.downcast_ref::<MountError>() {
            of_mount_error(error)
        } else {
            #[cfg(feature = "node")]
            let report = cause.downcast_ref::<artifacts_node::NodeError>().map(of_node_error);
            #[cfg(not(feature = "node"))]
            let report = None;
            let Some(report) = report else { continue };
            report
        };
        // What was being done when it happened comes first.
        for context in error.chain().take_while(|outer| !std::ptr::addr_eq(*outer, cause)).collect::<Vec<_>>().into_iter().rev() {
            report.message = format!("{context}: {}", report.message);
        }
        return report;
    }
    Report::new(Exit::Failed, "failed", format!("{error:#}"))
}

/// Prints why the command failed and answers with its exit code.
pub(crate) fn fail(error: &anyhow::Error, format: Format, style: Style) -> ExitCode {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        // Whoever read the output has seen enough of it (`| head`).
        return ExitCode::SUCCESS;
    }
    let report = of_error(error);
    match format {
        Format::Json => eprintln!("{}", serde_json::to_string(&report).unwrap_or_default()),
        Format::Text => {
            let (message, hint) = report.message_and_hint();
            eprintln!("{} {message}", style.red("error:"));
            for file in &report.files {
                eprintln!("  {file}");
            }
            if let Some(hint) = hint {
                eprintln!("{} {hint}", style.cyan("hint:"));
            }
            if let Some(request_id) = report.request_id.as_ref().filter(|_| report.exit == Exit::Failed) {
                eprintln!("request id: {request_id}");
            }
        }
    }
    report.exit.into()
}

/// Prints what the parser of the command line has to say: help and version to stdout, mistakes to stderr.
pub(crate) fn of_parser(error: &clap::Error, format: Format) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if format == Format::Json {
        let text = error.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or("wrong arguments").trim_start_matches("error: ").to_owned();
        let hint = lines.find(|line| line.starts_with("tip:")).map(|line| line.trim_start_matches("tip:").trim().to_owned());
        let report = Report { hint, ..Report::new(Exit::Usage, "usage", message) };
        eprintln!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        let _ = error.print();
    }
    Exit::Usage.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn answer(status: u16, code: &str) -> anyhow::Error {
        ApiError::Answer { status, code: code.to_owned(), message: "no".to_owned(), hint: None, request_id: Some("req_1".to_owned()) }
            .into()
    }

    #[test]
    fn every_code_of_the_contract_has_its_exit_code() {
        for (status, code, exit) in [
            (401, "unauthorized", Exit::NotAuthorised),
            (403, "forbidden", Exit::NotAuthorised),
            (404, "workspace_not_found", Exit::NotFound),
            (404, "tenant_not_found", Exit::NotFound),
            (404, "grant_not_found", Exit::NotFound),
            (404, "session_not_found", Exit::NotFound),
            (409, "workspace_exists", Exit::Conflict),
            (409, "tenant_exists", Exit::Conflict),
            (409, "handle_exists", Exit::Conflict),
            (409, "workspace_not_active", Exit::Conflict),
            (409, "ticket_in_use", Exit::Conflict),
            (409, "lock_held", Exit::Conflict),
            (409, "idempotency_conflict", Exit::Conflict),
            (412, "stale_token", Exit::Conflict),
            (422, "invalid_request", Exit::Usage),
            (507, "quota_exceeded", Exit::Failed),
            (429, "rate_limited", Exit::Unavailable),
            (503, "unavailable", Exit::Unavailable),
            (500, "internal", Exit::Failed),
        ] {
            assert_eq!(of_error(&answer(status, code)).exit, exit, "{code}");
        }
    }

    #[test]
    fn a_code_of_a_later_version_goes_by_its_status() {
        for (status, exit) in [(404, Exit::NotFound), (409, Exit::Conflict), (502, Exit::Unavailable), (418, Exit::Failed)] {
            assert_eq!(of_error(&answer(status, "brand_new")).exit, exit, "{status}");
        }
    }

    #[test]
    fn what_was_being_done_comes_before_what_went_wrong() {
        let error = Err::<(), _>(answer(404, "workspace_not_found")).context("deleting acme/x").unwrap_err();
        let report = of_error(&error);
        assert_eq!((report.exit, report.message.as_str()), (Exit::NotFound, "deleting acme/x: no"));
        assert_eq!(report.request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn json_has_the_fields_of_an_api_error() {
        let report = of_error(&Failure::already_mounted("it is there").hint("look").into());
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(json, serde_json::json!({"code": "already_mounted", "message": "it is there", "hint": "look", "exit_code": 5}));
    }

    #[test]
    fn advice_behind_a_semicolon_is_shown_as_a_hint() {
        let report = Report { advice_inside: true, ..Report::new(Exit::NotFound, "c", "there is none; make one") };
        assert_eq!(report.message_and_hint(), ("there is none", Some("make one")));
        let report = Report { hint: Some("h".to_owned()), advice_inside: true, ..Report::new(Exit::NotFound, "c", "a; b") };
        assert_eq!(report.message_and_hint(), ("a; b", Some("h")));
        assert_eq!(Report::new(Exit::Failed, "c", "not confirmed; nothing was done").message_and_hint().1, None);
    }

    #[test]
    fn anything_else_is_a_plain_failure() {
        let error = anyhow::anyhow!("inner").context("outer");
        assert_eq!(of_error(&error).message, "outer: inner");
        assert_eq!(of_error(&error).exit, Exit::Failed);
    }
}
