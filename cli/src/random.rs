//! The one place of this crate that draws randomness.

use std::fmt::Write as _;

/// A fresh `Idempotency-Key`: 128 random bits in hexadecimal.
///
/// # Errors
/// The operating system has no randomness to give.
#[allow(clippy::disallowed_methods, reason = "the one wrapper")]
pub(crate) fn idempotency_key() -> Result<String, std::io::Error> {
    let mut bits = [0u8; 16];
    getrandom::fill(&mut bits).map_err(std::io::Error::other)?;
    Ok(bits.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
