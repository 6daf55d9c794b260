//! `artifacts`: the command that platforms, runtimes and operators use.
//!
//! A command parses its arguments, calls the API or the mount agent, and prints. Nothing here decides what the product
//! does: that is in `artifacts-core`, `artifacts-node` and `artifacts-mount`.

mod api;
mod arguments;
mod commands;
mod confirmation;
mod credentials;
mod exit;
mod failure;
mod logging;
mod mount_table;
mod mounting;
mod output;
mod paths;
mod private_file;
mod quota;
mod random;
mod secret_prompt;
mod settings;
mod size;
mod stop;
mod time;
mod traces;
mod transfer;
mod ttl;

use std::process::ExitCode;

use anyhow::Context as _;
use artifacts_mount::daemon;
use clap::Parser as _;

use arguments::{Arguments, Command};
use logging::{LogFormat, Usual};
use output::{Format, Output, Style};

fn main() -> ExitCode {
    // The only failure is that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if std::env::args_os().nth(1).is_some_and(|first| first == daemon::CHILD_ARGUMENT) {
        // Standard error is the mount's log file.
        logging::start(0, false, Usual::Server, LogFormat::Text, Style::plain());
        return daemon::serve_child();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::of_parser(&error, wanted_format()),
    };
    let global = &arguments.global;
    let output = Output::new(global.format, global.quiet, global.no_color);
    start_logging(&arguments, output.error_style);
    match run(arguments.command, output) {
        Ok(code) => code,
        Err(error) => exit::fail(&error, output.format, output.error_style),
    }
}

/// The format that a command line asks for which cannot be parsed as a whole.
fn wanted_format() -> Format {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let json = words.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json") || words.iter().any(|word| word == "--format=json");
    if json { Format::Json } else { Format::Text }
}

fn start_logging(arguments: &Arguments, style: Style) {
    let global = &arguments.global;
    let (usual, format) = match &arguments.command {
        #[cfg(feature = "node")]
        Command::Node(args) => (Usual::Server, args.log_format),
        Command::Mount(args) if args.foreground => (Usual::Server, LogFormat::Text),
        Command::Agent(args) => (Usual::Server, args.log_format),
        _ => (Usual::Command, LogFormat::Text),
    };
    logging::start(global.verbose, global.quiet, usual, format, style);
}

/// Runs a command to its end.
fn run(command: Command, output: Output) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Lock(command) => return on_one_core(commands::lock::run(command, output)),
        #[cfg(feature = "node")]
        Command::Quickstart(args) => on_all_cores(commands::quickstart::run(args, output)),
        #[cfg(feature = "node")]
        Command::Node(args) => on_all_cores(commands::node::run(args, output)),
        Command::Login(args) => on_one_core(commands::login::run(args, output)),
        Command::Logout => commands::logout::run(output),
        Command::Whoami => on_one_core(commands::whoami::run(output)),
        Command::Workspace(command) => on_one_core(commands::workspace::run(command, output)),
        Command::Platform(command) => on_one_core(commands::platform::run(command, output)),
        Command::Mount(args) => commands::mount::run(args, output),
        Command::Agent(args) => commands::agent::run(&args, output),
        Command::Unmount(args) => commands::unmount::run(&args, output),
        Command::Import(args) => on_one_core(commands::import::run(args, output)),
        Command::Export(args) => on_one_core(commands::export::run(args, output)),
        Command::Status(args) => commands::status::run(&args, output),
        Command::Stats(args) => on_one_core(commands::stats::run(args, output)),
        Command::Fsck(args) => on_one_core(commands::fsck::run(args, output)),
        #[cfg(feature = "sim")]
        Command::Sim(command) => commands::sim::run(command, output),
        Command::Completions(args) => commands::completions::run(&args, output),
        #[cfg(feature = "manual")]
        Command::Manual(args) => commands::manual::run(&args, output),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command that mostly waits for answers.
fn on_one_core<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let done = runtime.block_on(command);
    // A thread may be stuck in a read from a terminal.
    runtime.shutdown_background();
    done
}

/// Runs a command that serves.
#[cfg(feature = "node")]
fn on_all_cores(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}
