//! `artifacts workspace show`

use artifacts_core::name::WorkspaceAddress;

use crate::output::Output;
use crate::settings::Settings;

/// Shows one workspace or snapshot.
pub(crate) async fn run(address: &WorkspaceAddress, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    if address.snapshot.is_some() {
        return output.object(&client.snapshot(address).await?, super::snapshot_fields);
    }
    output.object(&client.workspace(address).await?, super::fields)
}
