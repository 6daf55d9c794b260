use std::sync::Arc;
use std::time::Duration;

use artifacts_core::namespace::{Attr, Errno, FileKind, Listed, Name};
use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;

use super::upload::Upload;
use super::{Download, FileError};
use crate::records::WorkspaceRecord;
use crate::sessions::{Sessions, ask};
use crate::store::StoreError;
use crate::workspace::{Condition, NewFile, Target, Visit, Visited, WorkspaceMessage};

/// So many files may be put at once; each takes up to two segments of memory.
const UPLOADS_MAX: usize = 32;
/// How long one waits for its turn.
const TURN_LIMIT: Duration = Duration::from_secs(10);

/// Files of the workspaces on this node. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    sessions: Sessions,
    uploads: Arc<Semaphore>,
}

impl Files {
    /// Those of the workspaces that these sessions are about.
    pub fn new(sessions: &Sessions) -> Self {
        Self { sessions: sessions.clone(), uploads: Arc::new(Semaphore::new(UPLOADS_MAX)) }
    }

    /// Opens a file to be sent.
    ///
    /// # Errors
    /// Those of open(2); EISDIR for a directory, EINVAL for what is neither.
    pub(crate) async fn open(&self, workspace: &WorkspaceRecord, target: Target) -> Result<Download, FileError> {
        let _stay = self.sessions.stay(workspace.id).await?;
        let host = self.sessions.host(workspace).await?;
        let visit = Visit::Find { target, opens: true };
        let Visited::Found(attr) = ask(&host, |reply| WorkspaceMessage::Visit(visit, reply)).await?? else { return Err(unexpected()) };
        match attr.kind {
            FileKind::File => Ok(Download::new(self.sessions.context().clone(), workspace.id, host, attr)),
            FileKind::Directory => Err(FileError::Refused(Errno::EISDIR)),
            _ => Err(FileError::Refused(Errno::EINVAL)),
        }
    }

    /// Puts a file; its extents are those of the body. Answers whether it is new. `stands` says whether whoever sends it still may.
    ///
    /// # Errors
    /// Those of open(2) and write(2), [`FileError::Unmet`]; nothing has changed then.
    pub(crate) async fn put(
        &self,
        workspace: &WorkspaceRecord,
        new: NewFile,
        body: Body,
        stands: impl Fn() -> bool + Send,
    ) -> Result<(Attr, bool), FileError> {
        let turn = tokio::time::timeout(TURN_LIMIT, self.uploads.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(StoreError::Unavailable { reason: "too many files are being put".to_owned() }.into()) };
        // Until the bytes have a name they must not be taken for what nobody needs.
        let _stay = self.sessions.stay(workspace.id).await?;
        self.would_fit(workspace, &new).await?;
        let mut upload = Upload::new(self.sessions.context().clone(), workspace.id);
        match self.receive(workspace, &mut upload, body, stands).await {
            Ok(()) => {}
            Err(error) => {
                upload.discard().await;
                return Err(error);
            }
        }
        let new = NewFile { extents: std::mem::take(&mut upload.extents), segments: upload.segments.clone(), ..new };
        match self.sessions.visit_within(workspace, Visit::Put(new)).await.map_err(FileError::from) {
            Ok(Visited::Put { attr, is_new }) => Ok((attr, is_new)),
            Ok(_) => Err(unexpected()),
            Err(error @ (FileError::Refused(_) | FileError::Unmet)) => {
                upload.discard().await;
                Err(error)
            }
            // Perhaps it has come about.
            Err(error) => Err(error),
        }
    }

    /// Refuses before anything is sent what would be refused in the end.
    async fn would_fit(&self, workspace: &WorkspaceRecord, new: &NewFile) -> Result<(), FileError> {
        let visit = Visit::Find { target: new.target.clone(), opens: false };
        let found = match self.sessions.visit_within(workspace, visit).await.map_err(FileError::from) {
            Ok(Visited::Found(attr)) => Some(attr),
            Ok(_) => return Err(unexpected()),
            Err(FileError::Refused(Errno::ENOENT)) => None,
            Err(error) => return Err(error),
        };
        if !new.condition.holds(found.as_ref()) {
            return Err(FileError::Unmet);
        }
        match found.map(|attr| attr.kind) {
            None | Some(FileKind::File) => Ok(()),
            Some(FileKind::Directory) => Err(FileError::Refused(Errno::EISDIR)),
            Some(_) => Err(FileError::Refused(Errno::EINVAL)),
        }
    }

    async fn receive(
        &self,
        workspace: &WorkspaceRecord,
        upload: &mut Upload,
        mut body: Body,
        stands: impl Fn() -> bool + Send,
    ) -> Result<(), FileError> {
        while let Some(frame) = body.frame().await {
            if let Ok(bytes) = frame.map_err(FileError::CutOff)?.into_data() {
                upload.take(bytes).await?;
            }
            if self.sessions.is_going(workspace.id) || !stands() {
                return Err(FileError::Revoked);
            }
        }
        upload.finish().await
    }

    /// What is in a directory.
    ///
    /// # Errors
    /// Those of opendir(3).
    pub(crate) async fn list(
        &self,
        workspace: &WorkspaceRecord,
        target: Target,
        after: Vec<Name>,
        recursive: bool,
        limit: usize,
    ) -> Result<Vec<Listed>, FileError> {
        match self.sessions.visit(workspace, Visit::List { target, after, recursive, limit }).await? {
            Visited::Listed(listed) => Ok(listed),
            _ => Err(unexpected()),
        }
    }

    /// Removes a file or an empty directory, or all of a directory: that goes step by step, and others see it go.
    ///
    /// # Errors
    /// Those of unlink(2) and rmdir(2), [`FileError::Unmet`].
    pub(crate) async fn remove(
        &self,
        workspace: &WorkspaceRecord,
        target: Target,
        mut condition: Condition,
        recursive: bool,
        stands: impl Fn() -> bool + Send,
    ) -> Result<(), FileError> {
        let mut has_begun = false;
        loop {
            let visit = Visit::Remove { target: target.clone(), condition: std::mem::take(&mut condition), recursive };
            match self.sessions.visit(workspace, visit).await.map_err(FileError::from) {
                Ok(Visited::Removed { more: true }) if stands() => has_begun = true,
                Ok(Visited::Removed { more: true }) => return Err(FileError::Revoked),
                Ok(Visited::Removed { more: false }) => return Ok(()),
                // Somebody else has removed the rest.
                Err(FileError::Refused(Errno::ENOENT)) if has_begun => return Ok(()),
                Ok(_) => return Err(unexpected()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives something another name.
    ///
    /// # Errors
    /// Those of renameat2(2).
    pub(crate) async fn rename(&self, workspace: &WorkspaceRecord, from: Target, to: Target, overwrite: bool) -> Result<Attr, FileError> {
        match self.sessions.visit(workspace, Visit::Move { from, to, overwrite }).await? {
            Visited::Moved(attr) => Ok(attr),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> FileError {
    StoreError::Unavailable { reason: "the workspace gave another answer than was asked for".to_owned() }.into()
}
