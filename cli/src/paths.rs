//! Where this program keeps things, by the XDG base directory specification.
//!
//! `$XDG_CONFIG_HOME/tonbo/artifacts` (default `~/.config`) and `$XDG_STATE_HOME/…` (`~/.local/state`); `$TONBO_AGENT_SOCKET` names the host agent's socket. A relative value is ignored, as the specification asks. Nothing is created here.

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
    /// Where the host agent of this user listens, if there is one.
    pub(crate) agent_socket: PathBuf,
}

/// Where the host agent of root listens.
const ROOT_AGENT_SOCKET: &str = "/run/tonbo/artifacts/agent.sock";

impl Paths {
    /// The directories of whoever runs this process.
    ///
    /// # Errors
    /// The user has no home directory and the XDG variables do not stand in for it.
    pub(crate) fn of_this_user() -> Result<Self, Failure> {
        let is_root = rustix::process::geteuid().is_root();
        Self::from_variables(&|name| std::env::var_os(name).map(PathBuf::from), std::env::home_dir(), is_root)
    }

    fn from_variables(variable: &dyn Fn(&str) -> Option<PathBuf>, home: Option<PathBuf>, is_root: bool) -> Result<Self, Failure> {
        let home = home.filter(|path| path.is_absolute());
        let base = |name: &str, below_home: &str| {
            variable(name)
                .filter(|path| path.is_absolute())
                .or_else(|| Some(home.as_ref()?.join(below_home)))
                .map(|path| path.join(OURS))
                .ok_or_else(|| Failure::failed("there is no home directory to keep things in").hint(format!("set HOME, or {name}")))
        };
        let state = base("XDG_STATE_HOME", ".local/state")?;
        let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
        let agent_socket = match (absolute("TONBO_AGENT_SOCKET"), absolute("XDG_RUNTIME_DIR")) {
            (Some(socket), _) => socket,
            (None, _) if is_root => PathBuf::from(ROOT_AGENT_SOCKET),
            (None, runtime) => runtime.map_or_else(|| state.clone(), |dir| dir.join(OURS)).join("agent.sock"),
        };
        Ok(Self { config: base("XDG_CONFIG_HOME", ".config")?, state, agent_socket })
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
        Paths::from_variables(&|name| if name == "XDG_STATE_HOME" { xdg.map(PathBuf::from) } else { None }, home.map(PathBuf::from), false)
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
    fn the_host_agent_of_root_listens_where_everybody_looks_and_that_of_a_user_in_a_directory_of_its_own() {
        let socket = |variable: &str, value: &str, is_root| {
            let variable = |name: &str| (name == variable).then(|| PathBuf::from(value));
            Paths::from_variables(&variable, Some("/home/a".into()), is_root).unwrap().agent_socket
        };
        assert_eq!(socket("NONE", "", true), PathBuf::from(ROOT_AGENT_SOCKET));
        assert_eq!(socket("XDG_RUNTIME_DIR", "/run/user/7", false), PathBuf::from("/run/user/7/tonbo/artifacts/agent.sock"));
        assert_eq!(socket("NONE", "", false), PathBuf::from("/home/a/.local/state/tonbo/artifacts/agent.sock"));
        assert_eq!(socket("TONBO_AGENT_SOCKET", "/s", true), PathBuf::from("/s"));
    }

    #[test]
    fn no_home_is_an_error_that_says_what_to_set() {
        let failure = paths(Some("/c"), None).unwrap_err();
        assert!(failure.to_string().contains("home directory"));
    }
}
