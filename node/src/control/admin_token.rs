//! The token that makes accounts: drawn at the first start into a file that only the node's user can read. The store
//! holds its hash.
//!
//! An operator may move the file elsewhere; the hash goes on to count. **To get a new token, empty the file and start
//! the node again** (`: > DATA/admin-token`): an empty file asks for one, and the token before it opens nothing any
//! more. Whoever can write there owns the node's data anyway.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::StartError;
use crate::context::Context;
use crate::random::{secret_hash, secret_matches};

/// The file's name within the data directory.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";

/// Finds the hash of the admin token, after drawing a token if there is none or a new one is asked for.
///
/// The file is complete before the hash is stored. A crash in between leaves a file whose token does not count: at the
/// first start the next one draws again, later the file has to be emptied again.
pub(super) async fn load_or_make(context: &Context) -> Result<[u8; 32], StartError> {
    let path = context.config.data.join(ADMIN_TOKEN_FILE);
    let failed = |source| StartError::AdminToken { path: path.clone(), source };
    let written = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let stored = context.catalog.admin_token_hash().await?;
    match (stored, written.as_deref()) {
        (None, _) | (Some(_), Some("")) => {}
        (Some(hash), token) => {
            if token.is_some_and(|token| !secret_matches(token, &hash)) {
                tracing::warn!(path = %path.display(), "the admin token in the file is not the one that counts; empty the file and restart to get a new one");
            }
            return Ok(hash);
        }
    }
    let token = format!("tbo_admin_{}", context.entropy.secret());
    write_private(&path, &token).map_err(failed)?;
    let hash = secret_hash(&token);
    context.catalog.save_admin_token_hash(&hash).await?;
    tracing::info!(path = %path.display(), "a new admin token was written");
    Ok(hash)
}

/// Writes the file whole or not at all, and never readable by others, not even for a moment.
fn write_private(path: &Path, token: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(directory)?.sync_all()
}
