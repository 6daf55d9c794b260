use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use artifacts_core::name::{InvalidName, Subpath, WorkspaceAddress};

use crate::failure::Failure;

/// A place in a workspace: `WORKSPACE[:PATH]`. Without a path its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemotePath {
    /// The workspace.
    pub(crate) workspace: WorkspaceAddress,
    /// Where in it.
    pub(crate) path: Option<Subpath>,
}

impl FromStr for RemotePath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const SCHEME: &str = "artifacts://";
        let scheme = text.len() - text.strip_prefix(SCHEME).unwrap_or(text).len();
        let (workspace, path) = match text[scheme..].split_once(':') {
            Some((workspace, path)) => (&text[..scheme + workspace.len()], path.trim_matches('/')),
            None => (text, ""),
        };
        let path = (!path.is_empty()).then(|| path.parse()).transpose()?;
        Ok(Self { workspace: workspace.parse()?, path })
    }
}

impl RemotePath {
    /// The place below the directory that the workspace is mounted on. No link in it is followed: it could lead out of
    /// the workspace.
    ///
    /// # Errors
    /// A part of the path, other than the last, is no directory; or, unless `creating`, the place does not exist. With
    /// `creating` missing directories above it are made.
    pub(crate) fn below(&self, root: &Path, creating: bool) -> Result<PathBuf, Failure> {
        let mut place = root.to_owned();
        let mut rest = self.path.iter().flat_map(Subpath::components).peekable();
        while let Some(part) = rest.next() {
            place.push(part);
            let (is_last, shown) = (rest.peek().is_none(), place.strip_prefix(root).unwrap_or(&place).display().to_string());
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_symlink() => {
                    return Err(Failure::usage(format!("{shown} is a symbolic link in {}", self.workspace)).hint("name what it points to"));
                }
                Ok(found) if found.is_dir() || is_last => {}
                Ok(_) => return Err(Failure::usage(format!("{shown} is not a directory in {}", self.workspace))),
                Err(error) if error.kind() == ErrorKind::NotFound && creating => {
                    if !is_last {
                        fs::create_dir(&place).map_err(|error| Failure::failed(format!("cannot make {shown}: {error}")))?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(Failure::not_found(format!("there is no {shown} in {}", self.workspace)));
                }
                Err(error) => return Err(Failure::failed(format!("cannot look at {shown}: {error}"))),
            }
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn parsed(text: &str) -> Option<(String, Option<String>)> {
        text.parse().ok().map(|place: RemotePath| (place.workspace.to_string(), place.path.map(String::from)))
    }

    #[test]
    fn a_colon_divides_workspace_and_path() {
        let some = |workspace: &str, path: Option<&str>| Some((workspace.to_owned(), path.map(str::to_owned)));
        assert_eq!(parsed("task"), some("task", None));
        assert_eq!(parsed("acme/task:"), some("acme/task", None));
        assert_eq!(parsed("task:a/b"), some("task", Some("a/b")));
        assert_eq!(parsed("task:/a/b/"), some("task", Some("a/b")));
        assert_eq!(parsed("artifacts://acme/task:a:b"), some("acme/task", Some("a:b")));
        for wrong in ["", ":a", "task:../x", "task:a//b", "/local/path", "artifacts://task", "a/b/c:d"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn links_are_not_followed_and_missing_directories_are_made_only_to_write() {
        let root = tempfile::tempdir().unwrap();
        let at = |text: &str, creating| text.parse::<RemotePath>().unwrap().below(root.path(), creating);
        assert!(at("w:a/b/c", false).unwrap_err().to_string().contains("no a in w"));
        assert_eq!(at("w:a/b/c", true).unwrap(), root.path().join("a/b/c"));
        assert!(root.path().join("a/b").is_dir() && !root.path().join("a/b/c").exists());
        symlink("/etc", root.path().join("link")).unwrap();
        for place in ["w:link", "w:link/x"] {
            assert!(at(place, true).unwrap_err().to_string().contains("symbolic link"));
        }
        fs::write(root.path().join("file"), "").unwrap();
        assert!(at("w:file", false).is_ok());
        assert!(at("w:file/x", true).is_err());
    }
}
