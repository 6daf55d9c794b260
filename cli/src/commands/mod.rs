//! One file a command: its arguments, and what it does. None knows of another (`transferring` is what `import` and `export` share), and none decides its exit code: it returns
//! an error, and `exit` knows what that means.

pub(crate) mod agent;
pub(crate) mod completions;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod import;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod mount;
#[cfg(feature = "node")]
pub(crate) mod node;
pub(crate) mod platform;
#[cfg(feature = "node")]
pub(crate) mod quickstart;
#[cfg(feature = "sim")]
pub(crate) mod sim;
pub(crate) mod stats;
pub(crate) mod status;
mod transferring;
pub(crate) mod unmount;
pub(crate) mod whoami;
pub(crate) mod workspace;
