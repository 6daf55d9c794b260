use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Control;
use crate::records::WorkspaceRecord;

const PAUSE: Duration = Duration::from_secs(5);

/// Removes the data of a workspace whose sessions have been fenced, then gives its name free. Goes on until that is
/// done; a node that stops before goes on at its next start. Two that run at once do no harm.
pub(super) async fn run(control: Control, workspace: WorkspaceRecord) {
    let mut attempts = tokio::time::interval(PAUSE);
    attempts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        attempts.tick().await;
        let outcome = match control.data_plane().destroy(&workspace).await {
            Ok(()) => control.finish_workspace(&workspace).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(()) => {
                tracing::info!(workspace = %workspace.id, "a workspace is gone");
                return;
            }
            Err(error) => tracing::warn!(workspace = %workspace.id, %error, "a workspace could not be removed; trying again"),
        }
    }
}
