//! `artifacts workspace delete`

use std::time::Duration;

use artifacts_core::name::WorkspaceAddress;
use clap::Args;
use serde_json::json;

use crate::api::{ApiError, Client};
use crate::confirmation;
use crate::output::Output;
use crate::settings::Settings;
use crate::time;

/// How long the data of a workspace is waited for to be removed.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `workspace delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
Its mounts fail at once. Its name is free again once its data is removed, which this waits for. A workspace takes its snapshots
with it; forks stay whole.

Examples:
  artifacts workspace delete task-1 --yes
  artifacts workspace delete task-1@before-upgrade --yes")]
pub(crate) struct DeleteArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`, and `@snapshot` behind it for a snapshot
    workspace: WorkspaceAddress,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Deletes a workspace.
pub(crate) async fn run(args: DeleteArgs, output: Output) -> anyhow::Result<()> {
    let address = args.workspace;
    let client = Settings::load()?.client()?;
    let what = if address.snapshot.is_some() {
        format!("Delete the snapshot {address}?")
    } else {
        format!("Delete the workspace {address} and everything in it, its snapshots included?")
    };
    confirmation::require(&what, args.yes)?;
    let progress = output.progress(format!("Deleting {address}"));
    let mut answer = client.delete_workspace(&address).await?;
    let gone = wait_until_gone(&client, &address).await;
    drop(progress);
    if gone && let Some(fields) = answer.as_object_mut() {
        fields.insert("status".to_owned(), json!("deleted"));
    }
    let sentence = if gone { format!("Deleted {address}.") } else { format!("Deleted {address}; its data is still being removed.") };
    output.done(&answer, &sentence)
}

/// The node removes the data after it has answered. Whether it is done in time; not knowing is no failure.
async fn wait_until_gone(client: &Client, address: &WorkspaceAddress) -> bool {
    let begun = time::now();
    let mut pause = FIRST_PAUSE;
    while begun.elapsed() < PATIENCE {
        match client.place(address).await {
            Err(ApiError::Answer { status: 404, .. }) => return true,
            // The name may belong to another workspace already.
            Ok(place) if place["status"] == "deleting" => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
        time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    false
}
