//! Shorthands for opening streams that must be refused.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::ErrorCode;
use artifacts_core::protocol::Opening;
use artifacts_tests::RawStream;

/// Opens a stream with a token.
pub(crate) fn with_token(token: &str) -> Opening {
    Opening::Ticket { token: token.to_owned() }
}

/// Checks that the node refuses to open a session, with one of these codes, and closes the stream.
pub(crate) fn expect_refused(port: u16, what: &str, opening: Opening, codes: &[ErrorCode]) -> Result<()> {
    let mut stream = RawStream::connect(port).context(what.to_owned())?;
    match stream.hello(opening).with_context(|| what.to_owned())? {
        Ok(welcome) => anyhow::bail!("{what}: opened {}", welcome.session),
        Err(refusal) => {
            ensure!(codes.contains(&refusal.code), "{what}: refused with {refusal}, expected {codes:?}");
            ensure!(!refusal.message.is_empty(), "{what}: refused without a message");
        }
    }
    stream.wait_closed().with_context(|| format!("{what}: refused, and the stream stays open"))?;
    Ok(())
}
