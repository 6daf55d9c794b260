//! `artifacts workspace show`

use artifacts_core::name::WorkspaceAddress;

use crate::output::Output;
use crate::settings::Settings;

/// Shows one workspace.
pub(crate) async fn run(address: &WorkspaceAddress, output: Output) -> anyhow::Result<()> {
    let workspace = Settings::load()?.client()?.workspace(address).await?;
    output.object(&workspace, super::fields)
}
