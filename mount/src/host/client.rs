use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::message::{Answer, Question};
use super::namespaces::Namespaces;
use crate::control::exchange;
use crate::daemon::{MountInfo, START, absolute};
use crate::error::MountError;
use crate::options::MountOptions;

/// How long a host agent may take to be told.
const TELLING: Duration = Duration::from_secs(5);

/// Hands a mount to the host agent at `socket`; returns when it serves. `None` if there is no agent for us: none listens, it is
/// somebody else's, or it lives in other namespaces.
///
/// # Errors
/// Why it does not serve; nothing is mounted then.
pub fn hand_over(socket: &Path, options: &MountOptions) -> Result<Option<MountInfo>, MountError> {
    let (Ok(stream), Ok(from)) = (UnixStream::connect(socket), Namespaces::ours()) else { return Ok(None) };
    if !is_ours(&stream) {
        tracing::warn!("{} belongs to another user, and is not told what to mount", socket.display());
        return Ok(None);
    }
    let options = MountOptions { handle_signals: false, ..absolute(options.clone())? };
    match exchange(stream, &Question::Mount { options: Box::new(options), from }, TELLING, START + TELLING) {
        Ok(Answer::Mounted(info)) => Ok(Some(info)),
        Ok(Answer::Failed(error)) => Err(error),
        Ok(Answer::Elsewhere) => Ok(None),
        Ok(Answer::Here { .. }) => Err(MountError::agent("of this host gave an answer to another question")),
        Err(error) => Err(MountError::agent(format!("of this host at {} does not answer: {error}", socket.display()))),
    }
}

/// The process of the host agent at `socket`, if there is one.
pub(super) fn who_listens(socket: &Path) -> Option<u32> {
    match exchange(UnixStream::connect(socket).ok()?, &Question::Hello, TELLING, TELLING).ok()? {
        Answer::Here { pid } => Some(pid),
        _ => None,
    }
}

fn is_ours(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}
