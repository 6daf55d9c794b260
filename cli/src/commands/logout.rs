//! `artifacts logout`

use serde_json::json;

use crate::credentials::Credentials;
use crate::output::Output;
use crate::paths::Paths;

/// Removes the stored key from this machine. The key itself stays valid until it is revoked.
pub(crate) fn run(output: Output) -> anyhow::Result<()> {
    let removed = Credentials::remove(&Paths::of_this_user()?.credentials())?;
    let sentence =
        if removed { "Logged out. The key itself stays valid: see `artifacts platform key revoke`." } else { "Nobody was logged in." };
    output.done(&json!({ "removed": removed }), sentence)
}
