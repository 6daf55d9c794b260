use std::ops::Range;

use anyhow::{Context as _, Result, ensure};

/// As it was written, its code in the midst of its prose and without indentation.
const TEXT: &str = include_str!("platform-quickstart.txt");

/// Where each block of code begins and ends, in the order of the text.
const BLOCKS: [(&str, &str); 12] = [
    ("export TONBO_API_KEY=", "<your key>"),
    ("npm install", "@tonbo/artifacts"),
    ("import { Artifacts }", "new Artifacts();"),
    ("const tenantSlug", "= taskId;"),
    ("export TONBO_API_KEY=", "workspace create task-4711"),
    ("const { mount_ticket }", "});"),
    ("volumes:\n", "readOnly: true"),
    ("# Whatever your launcher", "chmod 0600 /run/tonbo/artifacts/mount-ticket.json"),
    ("artifacts mount --ticket-file", "/mnt/work"),
    ("import fs ", "'hello');"),
    ("await artifacts.platform.revokeAccessGrants(", ");"),
    ("await artifacts.workspaces.delete(", ");"),
];

/// How lines of code begin, and none of prose.
const CODE: [&str; 12] = [
    "export ",
    "npm ",
    "import ",
    "const ",
    "await ",
    "artifacts workspace",
    "artifacts mount --",
    "mkdir ",
    "chmod ",
    "cp ",
    "volumes:",
    "containers:",
];

/// The blocks of code of the text, each with what it stands for put in place of its placeholders.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// The backend's environment.
    pub(crate) key: String,
    /// The installation of the SDK.
    pub(crate) install: String,
    /// The client.
    pub(crate) client: String,
    /// The names.
    pub(crate) names: String,
    /// The workspace, by command.
    pub(crate) workspace: String,
    /// The ticket.
    pub(crate) ticket: String,
    /// The pod.
    pub(crate) pod: String,
    /// The ticket file, by a launcher.
    pub(crate) launcher: String,
    /// The mount.
    pub(crate) mount: String,
    /// The customer's program.
    pub(crate) program: String,
    /// The end of the runtime's right.
    pub(crate) revoke: String,
    /// The end of the workspace.
    pub(crate) delete: String,
}

impl Blocks {
    /// Takes them out of the text. `package` is what is installed instead of the package of that name.
    ///
    /// # Errors
    /// If one is not where it was, or there is code beside them.
    pub(crate) fn of_text(key: &str, handle: &str, package: &str) -> Result<Self> {
        let mut found = Vec::new();
        let mut at = 0;
        for (start, end) in BLOCKS {
            let block = find(at, start, end)?;
            at = block.end;
            found.push(block);
        }
        nothing_is_left(&found)?;
        let mut blocks = found.into_iter().map(|block| TEXT[block].replace("<your key>", key).replace("<your-handle>", handle));
        let mut next = || blocks.next().context("too few blocks");
        let blocks = Self {
            key: next()?,
            install: next()?.replace("@tonbo/artifacts", package),
            client: next()?,
            names: next()?,
            workspace: next()?,
            ticket: next()?,
            pod: next()?,
            launcher: next()?,
            mount: next()?,
            program: next()?,
            revoke: next()?,
            delete: next()?,
        };
        Ok(blocks)
    }
}

fn find(at: usize, start: &str, end: &str) -> Result<Range<usize>> {
    let from = at + TEXT[at..].find(start).with_context(|| format!("no `{start}` in the text behind byte {at}"))?;
    let to = from + TEXT[from..].find(end).with_context(|| format!("no `{end}` behind `{start}`"))?;
    Ok(from..to + end.len())
}

/// A block that the list above misses would not be run.
fn nothing_is_left(found: &[Range<usize>]) -> Result<()> {
    let ends = [0].into_iter().chain(found.iter().map(|block| block.end));
    let starts = found.iter().map(|block| block.start).chain([TEXT.len()]);
    ends.zip(starts).try_for_each(|(end, start)| check_prose(&TEXT[end..start]))
}

fn check_prose(prose: &str) -> Result<()> {
    let code = prose.lines().find(|line| CODE.iter().any(|start| line.starts_with(start)));
    ensure!(code.is_none(), "this is code, and no block: {code:?}");
    Ok(())
}
