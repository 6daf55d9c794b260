//! `artifacts manual`: the reference of all commands, for the documentation and for packages. Not for the command line's own help.

mod markdown;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _, Subcommand};
use serde_json::json;

use crate::arguments::Arguments;
use crate::output::Output;

/// Arguments of `manual`.
#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    #[command(subcommand)]
    form: Form,
}

/// In which form.
#[derive(Debug, Subcommand)]
enum Form {
    /// Print one page of Markdown
    Markdown,
    /// Write a man page for every command
    Man {
        /// Where to; made if it is missing
        dir: PathBuf,
    },
}

/// Prints or writes it.
pub(crate) fn run(args: &ManualArgs, output: Output) -> anyhow::Result<()> {
    let mut command = Arguments::command();
    command.build();
    match &args.form {
        Form::Markdown => output.line(markdown::page(&command).trim_end()),
        Form::Man { dir } => {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            let pages = man(&command, dir)?;
            output.done(&json!({ "pages": pages }), &format!("Wrote {pages} man pages to {}.", dir.display()))
        }
    }
}

/// Writes the pages of a command and of all below it; says how many.
fn man(command: &Command, dir: &std::path::Path) -> anyhow::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let file = dir.join(format!("{name}.1"));
    std::fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    visible(command).try_fold(1, |pages, below| Ok(pages + man(below, dir)?))
}

/// The commands below one that people are told of.
fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}
