//! Every call with another account's key: what is not the caller's answers exactly as what does not exist.

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Reply, local};

use crate::operations::{About, Names, Operation, all};
use crate::snapshot::{Victim, expect_unchanged, nobody, snapshot};

#[test]
fn another_account_answers_as_if_nothing_were_there() -> Result<()> {
    local("other-account", Duration::from_secs(5 * 60), |scratch| {
        let mut victim = Victim::new(scratch)?;
        let stranger = victim.lab.account("stranger")?;
        let nobody = nobody(&victim.names);
        let before = snapshot(&victim.lab.api)?;
        let pairs = all(&stranger, &victim.names)?.into_iter().zip(all(&stranger, &nobody)?);
        for (operation, without_object) in pairs {
            let own_before = snapshot(&stranger)?;
            match operation.about {
                About::Public | About::Cluster => continue,
                About::Caller => {
                    let reply = operation.call(&stranger)?;
                    ensure!(reply.status < 300, "{} on the stranger's own account: {}", operation.title(), reply.text);
                    expect_silence(&operation, &reply, &victim.names)?;
                }
                About::Named => {
                    let (reply, missing) = (operation.call(&stranger)?, without_object.call(&stranger)?);
                    expect_alike(&operation, &reply, &missing, &victim.names, &nobody)?;
                    expect_unchanged(&operation.title(), &stranger, &own_before).context("of the stranger's own")?;
                }
            }
            expect_unchanged(&operation.title(), &victim.lab.api, &before)?;
        }
        victim.expect_standing()
    })
}

/// The answer is the one for an object that does not exist, to the letter but for the names that were asked for.
fn expect_alike(operation: &Operation, reply: &Reply, missing: &Reply, names: &Names, nobody: &Names) -> Result<()> {
    let title = operation.title();
    ensure!(
        (reply.status, reply.code()) == (missing.status, missing.code()),
        "{title}: {} for another account's object, {} for none",
        reply.text,
        missing.text
    );
    if operation.template == "/v1/grants" {
        // A list with filters may be empty instead of an error.
        ensure!(reply.status == 404 || reply.body["items"].as_array().is_some_and(Vec::is_empty), "{title}: {}", reply.text);
    } else {
        ensure!(reply.status == 404 && reply.code().ends_with("_not_found"), "{title}: {} {}", reply.status, reply.text);
        reply.expect_error(404, reply.code()).context(title.clone())?;
    }
    let neutral = |reply: &Reply, names: &Names| {
        let Names { handle, workspace, tenant, runtime, grant, key, mesh_credential, session, lock, lock_id } = names;
        let mut text = reply.text.clone();
        for name in [
            lock_id,
            lock,
            grant,
            key,
            mesh_credential,
            session,
            tenant,
            runtime,
            workspace,
            handle,
            reply.request_id.as_ref().unwrap_or(handle),
        ] {
            text = text.replace(name.as_str(), "?");
        }
        text
    };
    let (told, told_of_none) = (neutral(reply, names), neutral(missing, nobody));
    ensure!(told == told_of_none, "{title} tells that there is something:\n{told}\n{told_of_none}");
    Ok(())
}

/// Nothing of the victim's is named.
fn expect_silence(operation: &Operation, reply: &Reply, names: &Names) -> Result<()> {
    for secret in [&names.grant, &names.key, &names.mesh_credential, &names.session, &names.tenant, &names.workspace, &names.runtime] {
        ensure!(!reply.text.contains(secret.as_str()), "{} tells the stranger of {secret}: {}", operation.title(), reply.text);
    }
    Ok(())
}
