use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::{Answer, MountStatus, Question, UnmountReport};
use crate::error::MountError;

/// The longest question, in bytes.
const QUESTION_MAX: u64 = 4096;
/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(5);

/// A client wants the mount gone.
#[derive(Debug)]
pub(crate) struct UnmountRequest {
    /// Whatever is in use or cannot be saved.
    pub(crate) force: bool,
    /// Where the outcome goes. The receiver drops its end once the client has it.
    pub(crate) outcome: oneshot::Sender<(Result<UnmountReport, MountError>, oneshot::Sender<()>)>,
}

/// The socket of one mount; gone from the directory when dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    /// Answers at `path`, where a dead agent may have left its socket.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn begin(
        path: &Path,
        work: &tokio::runtime::Handle,
        status: impl Fn() -> MountStatus + Send + Sync + 'static,
        unmount: impl Fn(UnmountRequest) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let guard = work.enter();
        let listener = UnixListener::bind(path)?;
        drop(guard);
        let (status, unmount) = (Arc::new(status), Arc::new(unmount));
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (status, unmount) = (Arc::clone(&status), Arc::clone(&unmount));
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &*status, &*unmount).await {
                        tracing::debug!(%error, "a control client went away");
                    }
                });
            }
        };
        Ok(Self { path: path.to_owned(), task: work.spawn(accept) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(
    stream: UnixStream,
    status: &(impl Fn() -> MountStatus + Sync),
    unmount: &(impl Fn(UnmountRequest) + Sync),
) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reading = BufReader::new(tokio::io::AsyncReadExt::take(reading, QUESTION_MAX));
    tokio::time::timeout(ASKING, reading.read_line(&mut line)).await??;
    let mut delivered = None;
    let answer = match serde_json::from_str(&line) {
        Ok(Question::Status) => Answer::Status(Box::new(status())),
        Ok(Question::Unmount { force }) => {
            let (outcome, waiting) = oneshot::channel();
            unmount(UnmountRequest { force, outcome });
            match waiting.await {
                Ok((Ok(report), told)) => {
                    delivered = Some(told);
                    Answer::Unmounted(report)
                }
                Ok((Err(error), told)) => {
                    delivered = Some(told);
                    Answer::Error(error)
                }
                Err(_) => Answer::Error(MountError::agent("is ending already")),
            }
        }
        Err(error) => Answer::Error(MountError::agent(format!("was asked something it does not understand: {error}"))),
    };
    let mut line = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    line.push(b'\n');
    writing.write_all(&line).await?;
    writing.shutdown().await?;
    drop(delivered);
    Ok(())
}
