use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Asks one line of JSON, which may take `telling`, and waits for one as its answer, with `patience`.
///
/// # Errors
/// The socket's; an answer that does not come in time, or is no such line.
pub(crate) fn exchange<A: DeserializeOwned>(
    mut stream: UnixStream,
    question: &impl Serialize,
    telling: Duration,
    patience: Duration,
) -> io::Result<A> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(telling))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
