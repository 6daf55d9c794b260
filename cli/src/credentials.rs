//! The login of one user: which node, and the API key for it.
//!
//! Always true of the file: mode 0600 in a directory of mode 0700, replaced as a whole, never half written.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::private_file;

/// What `artifacts login` stores.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// The node that the key belongs to; it is sent nowhere else.
    pub(crate) url: String,
    /// The secret.
    pub(crate) api_key: String,
    /// The account's handle, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handle: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("url", &self.url).field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The stored login, if there is one.
    ///
    /// # Errors
    /// The file is there and cannot be read, or does not hold a login.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let login = serde_json::from_str(&text).with_context(|| format!("{} is damaged; run `artifacts login` again", path.display()))?;
        Ok(Some(login))
    }

    /// Replaces the stored login.
    ///
    /// # Errors
    /// The directory or the file cannot be written.
    pub(crate) fn store(&self, path: &Path) -> anyhow::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
            private_file::replace(path, serde_json::to_string_pretty(self).map_err(io::Error::other)?.as_bytes())
        };
        write().with_context(|| format!("cannot store the login in {}", path.display()))
    }

    /// Removes the stored login; answers whether there was one.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub(crate) fn remove(path: &Path) -> anyhow::Result<bool> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_can_read_a_stored_login() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tonbo/artifacts/credentials.json");
        assert_eq!(Credentials::read(&path).unwrap(), None);
        let login = Credentials { url: "http://n:1".into(), api_key: "tbo_x".into(), handle: Some("acme".into()) };
        login.store(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        // A file that somebody had opened up is closed again.
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
        login.store(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(Credentials::read(&path).unwrap(), Some(login));
        assert!(Credentials::remove(&path).unwrap());
        assert!(!Credentials::remove(&path).unwrap());
    }

    #[test]
    fn a_damaged_file_says_so() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("credentials.json");
        fs::write(&path, "{").unwrap();
        assert!(Credentials::read(&path).unwrap_err().to_string().contains("login"));
    }

    #[test]
    fn debug_output_has_no_secret() {
        let login = Credentials { url: "http://n:1".into(), api_key: "tbo_secret".into(), handle: None };
        assert!(!format!("{login:?}").contains("tbo_secret"));
    }
}
