//! Failures that this program finds out by itself, and the kinds of failure that its exit code tells apart.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not work, and none of the others says why.
    Failed = 1,
    /// The command line, or a value in it, is wrong.
    Usage = 2,
    /// No credential, a wrong one, or one that does not allow this.
    NotAuthorised = 3,
    /// There is no such thing.
    NotFound = 4,
    /// It is in the way of something else.
    Conflict = 5,
    /// Nobody answers, or not now: the same call may work later.
    Unavailable = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A failure that this program found out by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Of which kind.
    pub(crate) exit: Exit,
    /// Its name, for programs.
    pub(crate) code: &'static str,
    /// What happened, for people.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The files that it is about.
    pub(crate) files: Vec<String>,
}

impl Failure {
    fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: None, files: Vec::new() }
    }

    /// Exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// Exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Exit code 3.
    pub(crate) fn not_authorised(message: impl Into<String>) -> Self {
        Self::new(Exit::NotAuthorised, "unauthorized", message)
    }

    /// Exit code 4.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, "not_found", message)
    }

    /// Exit code 5: something of ours is mounted there.
    pub(crate) fn already_mounted(message: impl Into<String>) -> Self {
        Self::new(Exit::Conflict, "already_mounted", message)
    }

    /// Exit code 5: a lock was lost while a command ran under it.
    pub(crate) fn lock_lost(message: impl Into<String>) -> Self {
        Self::new(Exit::Conflict, "lock_lost", message)
    }

    /// Exit code 1: changes to these files are lost.
    pub(crate) fn unsaved(message: impl Into<String>, files: &[PathBuf]) -> Self {
        let files = files.iter().map(|file| file.display().to_string()).collect();
        Self { files, ..Self::new(Exit::Failed, "unsaved", message) }
    }

    /// Exit code 1: some of it is done, and not all; `files` says what is not, and why.
    pub(crate) fn incomplete(message: impl Into<String>, files: Vec<String>) -> Self {
        Self { files, ..Self::new(Exit::Failed, "incomplete", message) }
    }

    /// The same, saying what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
