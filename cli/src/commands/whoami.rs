//! `artifacts whoami`

use crate::api::Scope;
use crate::output::Output;
use crate::settings::Settings;

/// Shows whose key it is and what it may do.
pub(crate) async fn run(output: Output) -> anyhow::Result<()> {
    let settings = Settings::load()?;
    let caller = settings.client()?.whoami().await?;
    output.object(&caller, |caller| {
        let mut fields = vec![("account", format!("{} ({})", caller.account.handle, caller.account.id))];
        fields.extend(caller.key_id.clone().map(|id| ("key", id)));
        fields.push(("scope", Scope::words(caller.scope.as_ref())));
        fields.push(("node", settings.url.clone()));
        fields
    })
}
