//! Where this program keeps things, by the XDG base directory specification.
//!
//! `$XDG_CONFIG_HOME/tonbo/artifacts` (default `~/.config`) and `$XDG_STATE_HOME/…` (`~/.local/state`). A relative value is ignored, as the specification asks. Nothing is created here.

use std::path::PathBuf;

use crate::failure::Failure;

/// Below each base directory.
const OURS: &str = "tonbo/artifacts";

/// Where a runtime finds its mount ticket unless told otherwise.
pub(crate) const DEFAULT_TICKET_FILE: &str = "/run/tonbo/artifacts/mount-ticket.json";

/// The directories of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Configuration and the stored login.
    pub(crate) config: PathBuf,
    /// What running mounts leave for `status` and `unmount`.
    pub(crate) state: PathBuf,
}

impl Paths {
    /// The directories of whoever runs this process.
    ///
    /// # Errors
    /// The user has no home directory and the XDG variables do not stand in for it.
    pub(crate) fn of_this_user() -> Result<Self, Failure> {
        Self::from_variables(&|name| std::env::var_os(name).map(PathBuf::from), std::env::home_dir())
    }

    fn from_variables(variable: &dyn Fn(&str) -> Option<PathBuf>, home: Option<PathBuf>) -> Result<Self, Failure> {
        let home = home.filter(|path| path.is_absolute());
        let base = |name: &str, below_home: &str| {
            variable(name)
                .filter(|path| path.is_absolute())
                .or_else(|| Some(home.as_ref()?.join(below_home)))
                .map(|path| path.join(OURS))
                .ok_or_else(|| Failure::failed("there is no home directory to keep things in").hint(format!("set HOME, or {name}")))
        };
        Ok(Self { config: base("XDG_CONFIG_HOME", ".config")?, state: base("XDG_STATE_HOME", ".local/state")? })
    }

    /// The stored login.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.config.join("credentials.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(xdg: Option<&str>, home: Option<&str>) -> Result<Paths, Failure> {
        Paths::from_variables(&|name| if name == "XDG_STATE_HOME" { xdg.map(PathBuf::from) } else { None }, home.map(PathBuf::from))
    }

    #[test]
    fn xdg_variables_move_the_directories() {
        let moved = paths(Some("/c"), Some("/home/a")).unwrap();
        assert_eq!(moved.config, PathBuf::from("/home/a/.config/tonbo/artifacts"));
        assert_eq!(moved.state, PathBuf::from("/c/tonbo/artifacts"));
        assert_eq!(moved.credentials(), PathBuf::from("/home/a/.config/tonbo/artifacts/credentials.json"));
    }

    #[test]
    fn a_relative_value_is_ignored() {
        assert_eq!(paths(Some("c"), Some("/home/a")).unwrap().state, PathBuf::from("/home/a/.local/state/tonbo/artifacts"));
    }

    #[test]
    fn no_home_is_an_error_that_says_what_to_set() {
        let failure = paths(Some("/c"), None).unwrap_err();
        assert!(failure.to_string().contains("home directory"));
    }
}
