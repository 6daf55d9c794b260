//! Mounting, for every command that does it: what is checked before, and what is said of it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use artifacts_core::name::WorkspaceAddress;
use artifacts_core::ticket::{Mode, TICKET_FILE_VERSION, TicketFile};
use artifacts_mount::daemon::{self, MountInfo};
use artifacts_mount::{Credential, MountOptions};

use crate::failure::Failure;
use crate::mount_table;
use crate::output::Output;
use crate::paths::{DEFAULT_TICKET_FILE, Paths};
use crate::settings::Settings;
use crate::time;

/// The largest ticket file that is read, in bytes; a real one has about a thousand.
const LARGEST_TICKET: u64 = 64 << 10;

/// How often a mount that must go is asked to, and how long the pauses between are.
const UNMOUNT_ATTEMPTS: u32 = 6;
const UNMOUNT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What to mount, where and how.
#[derive(Debug)]
pub(crate) struct MountRequest {
    /// What the agent is told.
    pub(crate) options: MountOptions,
    /// Where a host agent may listen that is to serve it; `None` for a process of its own.
    pub(crate) host_agent: Option<PathBuf>,
}

impl MountRequest {
    fn new(credential: Credential, mountpoint: &Path) -> anyhow::Result<Self> {
        // The agent runs in another directory.
        let mountpoint = std::path::absolute(mountpoint)?;
        let paths = Paths::of_this_user()?;
        Ok(Self { options: MountOptions::new(credential, mountpoint, paths.state), host_agent: Some(paths.agent_socket) })
    }

    /// A mount by right of a ticket.
    pub(crate) fn with_ticket(ticket: TicketFile, mountpoint: &Path) -> anyhow::Result<Self> {
        Self::new(Credential::Ticket(ticket), mountpoint)
    }

    /// A mount by right of the account's own key.
    pub(crate) fn with_key(settings: &Settings, workspace: WorkspaceAddress, mode: Mode, mountpoint: &Path) -> anyhow::Result<Self> {
        let key = settings.key()?.to_owned();
        Self::new(Credential::ApiKey { endpoints: vec![settings.url.clone()], key, workspace, mode, subpath: None }, mountpoint)
    }
}

/// Mounts in the background; returns once the mount serves. Blocks.
pub(crate) fn mount(request: MountRequest, output: Output) -> anyhow::Result<MountInfo> {
    let _progress = output.progress(format!("Mounting on {}", request.options.mountpoint.display()));
    mount_quietly(request)
}

/// [`mount`] without showing anything.
pub(crate) fn mount_quietly(request: MountRequest) -> anyhow::Result<MountInfo> {
    refuse_if_served(&request.options)?;
    if let Some(socket) = &request.host_agent
        && let Some(mounted) = artifacts_mount::host::hand_over(socket, &request.options)?
    {
        return Ok(mounted);
    }
    Ok(daemon::spawn(request.options)?)
}

/// A mount that works, or fails by decision, is left alone; one whose agent has died is the next agent's to clear away.
fn refuse_if_served(options: &MountOptions) -> Result<(), Failure> {
    let Ok(served) = artifacts_mount::control::status(&options.state_dir, &options.mountpoint) else { return Ok(()) };
    if mount_table::mounted_on(&served.mountpoint).is_none() {
        // It has been unmounted, and its agent is just ending.
        return Ok(());
    }
    let shown = options.mountpoint.display();
    Err(Failure::already_mounted(format!("{} is already mounted on {shown}", served.workspace))
        .hint(format!("unmount it first: artifacts unmount {shown}")))
}

/// Serves in this process until the mount ends.
///
/// # Errors
/// It does not serve, or something could not be saved when it ended.
pub(crate) fn serve(request: MountRequest, output: Output) -> anyhow::Result<()> {
    refuse_if_served(&request.options)?;
    let mountpoint = request.options.mountpoint.clone();
    let progress = std::cell::Cell::new(Some(output.progress(format!("Mounting on {}", mountpoint.display()))));
    let mut printed = Ok(());
    let report = artifacts_mount::serve(request.options, |mounted| {
        drop(progress.take());
        printed = output.done(mounted, &sentence(mounted));
    })?;
    saved(&report.unsaved, &mountpoint)?;
    printed
}

/// Says what is mounted where.
pub(crate) fn sentence(mounted: &MountInfo) -> String {
    format!("Mounted {} on {} ({}).", mounted.workspace, mounted.mountpoint.display(), mounted.mode)
}

/// Fails if a mount has ended and something is lost with it.
///
/// # Errors
/// With the files.
pub(crate) fn saved(unsaved: &[PathBuf], mountpoint: &Path) -> Result<(), Failure> {
    match unsaved.len() {
        0 => Ok(()),
        1 => Err(Failure::unsaved(format!("{} is unmounted, but changes to 1 file could not be saved", mountpoint.display()), unsaved)),
        n => Err(Failure::unsaved(format!("{} is unmounted, but changes to {n} files could not be saved", mountpoint.display()), unsaved)),
    }
}

/// Unmounts with everything saved, or else without, even if the agent dies over it. Blocks.
///
/// # Errors
/// Something is still mounted there.
pub(crate) fn unmount_by_all_means(state_dir: &Path, mountpoint: &Path) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for attempt in 0..UNMOUNT_ATTEMPTS {
        let force = attempt > 0;
        if mount_table::mounted_on(mountpoint).is_none() {
            return Ok(());
        }
        outcome = artifacts_mount::control::unmount(state_dir, mountpoint, force).map(drop);
        match &outcome {
            Ok(()) => break,
            Err(error) => tracing::debug!(force, %error, "a mount point was not unmounted"),
        }
        if force {
            // An agent that is just ending can be asked by nobody until it has ended.
            time::pause(UNMOUNT_PAUSE);
        }
    }
    if mount_table::mounted_on(mountpoint).is_none() { Ok(()) } else { Ok(outcome?) }
}

/// Whether there is a directory to mount on, or to make one in. What is mounted there already is the agent's to judge, and is not looked into: a
/// mount whose agent is stuck would never answer.
///
/// # Errors
/// There is none, with what to do about it.
pub(crate) fn check_mountpoint(mountpoint: &Path) -> Result<(), Failure> {
    let shown = mountpoint.display();
    if std::path::absolute(mountpoint).is_ok_and(|path| mount_table::mounted_on(&path).is_some_and(|mounted| mounted.is_ours())) {
        return Ok(());
    }
    match fs::metadata(mountpoint) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::usage(format!("{shown} is not a directory")).hint("mount on an existing directory")),
        // The agent makes it, but not what it lies in: a path with a mistake in it is refused.
        Err(error) if error.kind() == ErrorKind::NotFound => match std::path::absolute(mountpoint).ok().as_deref().and_then(Path::parent) {
            Some(parent) if !parent.is_dir() => {
                let parent = parent.display();
                Err(Failure::not_found(format!("there is no directory {parent}")).hint(format!("make it first: mkdir -p {parent}")))
            }
            _ => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(Failure::usage(format!("{shown} lies below something that is not a directory")))
        }
        // A mount whose agent has died (ENOTCONN) or whose access has ended (EACCES) is recovered, not refused.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::EACCES | libc::EIO)) => Ok(()),
        Err(error) => Err(Failure::failed(format!("cannot look at {shown}: {error}"))),
    }
}

/// Reads the ticket file `file`, or the one where a platform puts it.
///
/// # Errors
/// There is none, or it is not a ticket.
pub(crate) fn read_ticket(file: Option<&Path>) -> anyhow::Result<TicketFile> {
    let path = file.unwrap_or(Path::new(DEFAULT_TICKET_FILE));
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let hint = match file {
                Some(_) => "make one: artifacts platform ticket create TENANT RUNTIME --workspace W --mode rw --ttl 1h --out FILE",
                None => "give --ticket-file FILE, or the name of a WORKSPACE before the directory",
            };
            return Err(Failure::not_found(format!("there is no ticket file {shown}")).hint(hint).into());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read the ticket file {shown}")),
    };
    if metadata.len() > LARGEST_TICKET {
        return Err(Failure::usage(format!("{shown} is too large for a ticket file")).into());
    }
    if metadata.permissions().mode() & 0o007 != 0 {
        tracing::warn!("every user of this machine can read the ticket file {shown}; make its mode 0600");
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the ticket file {shown}"))?;
    parse_ticket(&text).map_err(|reason| Failure::usage(format!("{shown} is not a mount ticket: {reason}")).into())
}

/// Reads a ticket; the whole answer of the API around it, `{"mount_ticket": …}`, is let pass.
fn parse_ticket(text: &str) -> Result<TicketFile, String> {
    let mut value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(inner) = value.get_mut("mount_ticket") {
        value = inner.take();
    }
    // A later version may hold other fields; say that rather than which field is missing.
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(TICKET_FILE_VERSION) => {
            Err(format!("it has version {version}, and this program reads {TICKET_FILE_VERSION}"))
        }
        _ => serde_json::from_value(value).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = r#"{"version":1,"id":"tkt_00000000000000000000000000","workspace":"acme/task-1","mode":"rw",
        "expires_at":"2030-01-01T00:00:00Z","endpoints":["http://n"],"token":"a.b.c","new":1}"#;

    #[test]
    fn a_ticket_is_read_with_or_without_the_answer_around_it() {
        assert_eq!(parse_ticket(TICKET).unwrap().workspace, "acme/task-1");
        assert_eq!(parse_ticket(&format!(r#"{{"mount_ticket":{TICKET}}}"#)).unwrap().token, "a.b.c");
    }

    #[test]
    fn what_is_no_ticket_says_why() {
        assert!(parse_ticket("{").is_err());
        assert!(parse_ticket("{}").unwrap_err().contains("version"));
        assert!(parse_ticket(&TICKET.replace("\"version\":1", "\"version\":2")).unwrap_err().contains("version 2"));
    }

    #[test]
    fn a_mount_point_is_a_directory_or_is_made_in_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(check_mountpoint(directory.path()).is_ok());
        assert!(check_mountpoint(&file).unwrap_err().to_string().contains("not a directory"));
        assert!(check_mountpoint(&directory.path().join("new")).is_ok(), "it is made");
        assert!(check_mountpoint(&directory.path().join("none/new")).unwrap_err().to_string().contains("no directory"));
        assert!(check_mountpoint(&file.join("below")).is_err());
    }
}
