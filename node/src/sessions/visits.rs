use artifacts_core::WorkspaceId;
use artifacts_core::cluster::ShardMap;
use artifacts_core::revocation::Target;
use ractor::ActorRef;

use super::stays::Stay;
use super::{Sessions, ask};
use crate::context::SharedContext;
use crate::records::WorkspaceRecord;
use crate::store::StoreError;
use crate::workspace::{self, Visit, VisitError, Visited, WorkspaceMessage};

/// What the node does in workspaces by itself.
impl Sessions {
    /// What all of it works with.
    pub(crate) fn context(&self) -> &SharedContext {
        &self.0.context
    }

    /// Keeps a workspace from being removed meanwhile.
    ///
    /// # Errors
    /// When that has begun.
    pub(crate) async fn stay(&self, workspace: WorkspaceId) -> Result<Stay, StoreError> {
        let stay = Stay::new(self.0.stays.of(workspace).read_owned().await);
        if self.is_going(workspace) {
            return Err(StoreError::Unavailable { reason: "the workspace is being removed".to_owned() });
        }
        Ok(stay)
    }

    /// Whether a workspace is being removed, as far as this node knows.
    pub(crate) fn is_going(&self, workspace: WorkspaceId) -> bool {
        self.0.context.revocations.read().revoked(Target::Workspace(workspace)).is_some()
    }

    /// Who decides what happens in a workspace.
    pub(crate) async fn host(&self, workspace: &WorkspaceRecord) -> Result<ActorRef<WorkspaceMessage>, StoreError> {
        self.workspace(workspace).await
    }

    /// Looks at something in a workspace, or changes it.
    ///
    /// # Errors
    /// [`VisitError`].
    pub(crate) async fn visit(&self, workspace: &WorkspaceRecord, visit: Visit) -> Result<Visited, VisitError> {
        let _stay = self.stay(workspace.id).await?;
        self.visit_within(workspace, visit).await
    }

    /// The same, for who has a [`Stay`] already: to wait for a second one behind somebody who waits for the end of the first would
    /// be for ever.
    ///
    /// # Errors
    /// [`VisitError`].
    pub(crate) async fn visit_within(&self, workspace: &WorkspaceRecord, visit: Visit) -> Result<Visited, VisitError> {
        let host = self.host(workspace).await?;
        ask(&host, |reply| WorkspaceMessage::Visit(visit, reply)).await?
    }

    /// An id for a workspace that is to have shares in the segments of this one: it has the same owner for good.
    pub fn id_beside(&self, workspace: WorkspaceId) -> WorkspaceId {
        let context = &self.0.context;
        // What one node holds may be spread over shards later; what shares segments is to lie together then, too.
        let shards = Some(context.store.shards()).filter(|shards| *shards != ShardMap::SINGLE).unwrap_or(ShardMap::FINEST);
        shards.draw_beside(shards.of(workspace), || context.entropy.id(), |id: &WorkspaceId| shards.of(*id))
    }

    /// Copies what a workspace holds at this moment into a new one that nobody uses yet, durably, and no data. Can be repeated.
    ///
    /// # Errors
    /// The store's, and when the workspace changes too fast; the new one is not to be used then.
    pub async fn copy(&self, source: &WorkspaceRecord, target: WorkspaceId) -> Result<(), StoreError> {
        let _stay = self.stay(source.id).await?;
        let stays = self.0.stays.of(target);
        let _alone = stays.write().await;
        let host = self.host(source).await?;
        workspace::copy(&self.0.context, source.id, &host, target).await
    }
}
