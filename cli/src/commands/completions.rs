//! `artifacts completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts completions bash > /etc/bash_completion.d/artifacts
  artifacts completions zsh > \"${fpath[1]}/_artifacts\"
  artifacts completions fish > ~/.config/fish/completions/artifacts.fish")]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, output: crate::output::Output) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "artifacts", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())
}
