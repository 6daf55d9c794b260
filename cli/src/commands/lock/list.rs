//! `artifacts lock list`

use clap::Args;

use super::access::Access;
use crate::api::{Lock, LockParty};
use crate::output::{Output, Table, relative_or_dash};

/// Arguments of `lock list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows named locks, and the locks that programs hold on files of mounts (flock and fcntl), each with those who wait for it.

Examples:
  artifacts lock list --workspace task-1
  artifacts lock list --ticket-file ticket.json --format json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    access: Access,
}

/// Lists them.
pub(crate) async fn run(args: ListArgs, output: Output) -> anyhow::Result<()> {
    let locks = args.access.locks().await?;
    output.list(&locks.client.locks(&locks.workspace).await?, table)
}

fn table(locks: &[Lock]) -> Table {
    let head = Table::new(["LOCK", "STATE", "MODE", "WHO", "NOTE", "SINCE", "RUNS OUT", "TOKEN"], "Nothing is locked.");
    let row = |table: Table, lock: &Lock, state: &str, party: &LockParty| {
        let token = party.fencing_token.map_or_else(|| "-".to_owned(), |token| token.to_string());
        table.row([
            name(lock),
            state.to_owned(),
            mode(party),
            who(party),
            party.note.clone().unwrap_or_else(|| "-".to_owned()),
            relative_or_dash(Some(party.since)),
            relative_or_dash(party.expires_at),
            token,
        ])
    };
    locks.iter().fold(head, |table, lock| {
        let table = lock.holders.iter().fold(table, |table, holder| row(table, lock, "held", holder));
        lock.waiters.iter().fold(table, |table, waiter| row(table, lock, "waits", waiter))
    })
}

fn name(lock: &Lock) -> String {
    match (&lock.name, lock.inode) {
        (Some(name), _) => name.clone(),
        (None, Some(inode)) => format!("{} of inode {inode}", lock.kind),
        (None, None) => lock.kind.clone(),
    }
}

fn mode(party: &LockParty) -> String {
    let bytes = match (party.first_byte, party.last_byte) {
        (None, _) => String::new(),
        (Some(0), None) => String::new(),
        (Some(first), None) => format!(" from {first}"),
        (Some(first), Some(last)) => format!(" {first}-{last}"),
    };
    let permits = party.permits.map(|permits| format!(" of {permits}")).unwrap_or_default();
    format!("{}{permits}{bytes}", party.mode)
}

fn who(party: &LockParty) -> String {
    match (&party.owner, &party.session, party.pid) {
        (Some(owner), _, _) => owner.clone(),
        (None, Some(session), Some(pid)) => format!("pid {pid} of {session}"),
        _ => party.taken_by.clone().unwrap_or_else(|| "-".to_owned()),
    }
}
