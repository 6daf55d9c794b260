use artifacts_core::ErrorCode;
use artifacts_core::Timestamp;
use artifacts_core::namespace::{Attr, Errno, FileKind, Name};
use serde::Serialize;
use utoipa::ToSchema;

use super::lock_caller::LockCaller;
use super::{ApiError, ApiState, file_path, file_version};
use crate::blob::BlobError;
use crate::files::{FileError, Files, LONGEST_BYTES};
use crate::workspace::Target;

/// Something in a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileEntry {
    /// From the root; what is no UTF-8 in it shows as U+FFFD.
    path: String,
    /// The path as it goes into an address; only if it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoded_path: Option<String>,
    /// What it is.
    kind: EntryKind,
    /// Length in bytes; of a directory how many entries it has.
    size: u64,
    /// Permission bits in octal, as in `0644`.
    mode: String,
    /// Owner.
    uid: u32,
    /// Group.
    gid: u32,
    /// When its content changed last.
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
    /// Tells its state from all others: for `if-match` and `if-none-match`.
    etag: String,
}

/// What something in a workspace is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FileKind)]
enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe, a socket or a device.
    Special,
}

impl FileEntry {
    /// What is at a path.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a Name> + Clone, attr: &Attr) -> Self {
        let is_text = names.clone().into_iter().all(|name| std::str::from_utf8(name.as_bytes()).is_ok());
        Self {
            encoded_path: (!is_text).then(|| file_path::encode(names.clone())),
            path: file_path::show(names),
            kind: match attr.kind {
                FileKind::File => EntryKind::File,
                FileKind::Directory => EntryKind::Directory,
                FileKind::Symlink => EntryKind::Symlink,
                FileKind::Fifo | FileKind::Socket | FileKind::CharDevice | FileKind::BlockDevice => EntryKind::Special,
            },
            size: attr.size,
            mode: format!("{:04o}", attr.mode),
            uid: attr.uid,
            gid: attr.gid,
            modified_at: Timestamp::from_unix_ms(u64::try_from(attr.mtime / 1_000_000).unwrap_or_default()),
            etag: file_version::etag(attr),
        }
    }
}

/// A path as its caller means it.
pub(super) fn target(caller: &LockCaller, path: Vec<Name>) -> Result<Target, ApiError> {
    let root = caller.root().into_iter().flat_map(|root| root.components());
    let root = root.map(|name| Name::new(name.to_owned())).collect::<Result<_, _>>();
    Ok(Target { root: root.map_err(|_| ApiError::internal())?, path })
}

impl ApiState {
    /// Files without a mount.
    ///
    /// # Errors
    /// `unavailable` in a process that has no workspaces.
    pub(super) fn files(&self) -> Result<&Files, ApiError> {
        self.files_here().ok_or_else(|| ApiError::new(ErrorCode::Unavailable, "this node serves no files; ask another one"))
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused(errno) => of_errno(errno),
            FileError::Unmet => {
                Self::new(ErrorCode::PreconditionFailed, "the file is not in the state that the condition names; read it again")
            }
            FileError::TooLong => {
                Self::new(ErrorCode::PayloadTooLarge, format!("a file that is put has at most {LONGEST_BYTES} bytes; use a mount"))
            }
            FileError::CutOff(_) => Self::new(ErrorCode::InvalidRequest, "the body ended early; nothing was changed; send it again"),
            FileError::Revoked => Self::new(ErrorCode::Unauthorized, "the credential or the workspace has been taken away meanwhile"),
            FileError::Store(error) => error.into(),
            FileError::Blob(error @ BlobError::Full { .. }) => {
                tracing::error!(%error, "the disk of the data store is full");
                Self::new(ErrorCode::QuotaExceeded, "the data store is full")
            }
            error @ (FileError::Blob(_) | FileError::Damaged | FileError::Changed) => {
                tracing::warn!(%error, "a file was not served");
                Self::new(ErrorCode::Unavailable, "the data store does not answer; try again")
            }
        }
    }
}

fn of_errno(errno: Errno) -> ApiError {
    let (code, message) = match errno {
        Errno::ENOENT => {
            (ErrorCode::FileNotFound, "there is no such file or directory; `?parents=true` makes missing directories of one that is put")
        }
        Errno::EEXIST => (ErrorCode::FileExists, "there is something at the new path; say `\"overwrite\": true`, or choose another"),
        Errno::ENOTDIR => (ErrorCode::NotADirectory, "something on the path is not a directory"),
        Errno::EISDIR => (ErrorCode::IsADirectory, "there is a directory at this path"),
        Errno::ENOTEMPTY => {
            (ErrorCode::DirectoryNotEmpty, "the directory is not empty; `?recursive=true` removes it with all that is in it")
        }
        Errno::EDQUOT | Errno::ENOSPC => {
            (ErrorCode::QuotaExceeded, "the quota of the workspace leaves no room for this; remove something, or raise it")
        }
        Errno::EXDEV => (ErrorCode::InvalidRequest, "the path leads out of the workspace through a symbolic link"),
        Errno::ELOOP => (ErrorCode::InvalidRequest, "the path leads through too many symbolic links"),
        Errno::EBUSY => (ErrorCode::InvalidRequest, "this cannot be done with the root of the workspace"),
        Errno::EINVAL => (ErrorCode::InvalidRequest, "this cannot be done with what is at this path"),
        Errno::EAGAIN => (ErrorCode::Unavailable, "too many files are being read; try again"),
        _ => {
            tracing::warn!(%errno, "a call about files was refused");
            return ApiError::new(ErrorCode::InvalidRequest, format!("this cannot be done: {errno}"));
        }
    };
    ApiError::new(code, message)
}
