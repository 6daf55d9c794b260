use std::fmt::Write as _;

use clap::{Arg, Command};

use super::visible;

const HEAD: &str = "\
# Command reference

<!-- Made of the program itself; `make docs-reference` writes it anew. -->

What `artifacts help` says, as a page. [The guide](../cli.md) explains what belongs together.
";

/// All commands on one page.
pub(super) fn page(command: &Command) -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, command);
    page
}

fn section(page: &mut String, command: &Command) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "\n## {}\n", command.get_bin_name().unwrap_or_else(|| command.get_name()));
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        let _ = writeln!(page, "{}\n", escaped(&about.to_string()));
    }
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(page, "```text\n{}\n```", usage.trim_start_matches("Usage: "));
    let root = command.get_bin_name().is_none_or(|name| name == command.get_name());
    let told = |arg: &&Arg| !arg.is_hide_set() && (root || !arg.is_global_set()) && arg.get_id() != "help" && arg.get_id() != "version";
    let mut arguments = command.get_arguments().filter(told).peekable();
    if arguments.peek().is_some() {
        page.push_str("\n| argument | is |\n| --- | --- |\n");
    }
    for argument in arguments {
        let _ = writeln!(page, "| `{}` | {} |", name(argument).replace('|', "\\|"), meaning(argument).replace('|', "\\|"));
    }
    let below: Vec<_> = visible(command).collect();
    if !below.is_empty() {
        page.push_str("\n| command | does |\n| --- | --- |\n");
    }
    for below in &below {
        let name = below.get_bin_name().unwrap_or_else(|| below.get_name());
        let about = below.get_about().map(|about| escaped(&about.to_string())).unwrap_or_default();
        let _ = writeln!(page, "| [`{name}`](#{}) | {about} |", name.replace(' ', "-"));
    }
    if let Some(more) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        let _ = writeln!(page, "\n```text\n{}\n```", more.to_string().trim());
    }
    below.into_iter().for_each(|below| section(page, below));
}

/// How it is written.
fn name(argument: &Arg) -> String {
    let value = argument.get_value_names().unwrap_or_default().join(" ");
    let takes_value = argument.get_action().takes_values();
    if argument.is_positional() {
        return if argument.is_required_set() { format!("<{value}>") } else { format!("[{value}]") };
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    if takes_value { format!("{} <{value}>", names.join(", ")) } else { names.join(", ") }
}

/// What it is for, which values it may have, and what it is unless given.
fn meaning(argument: &Arg) -> String {
    let mut meaning = argument.get_help().map(|help| escaped(&help.to_string())).unwrap_or_default();
    if argument.get_action().takes_values() {
        let values: Vec<String> = argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            let _ = write!(meaning, ". One of {}", values.join(", "));
        }
        let defaults: Vec<String> = argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        if !defaults.is_empty() {
            let _ = write!(meaning, ". Unless given: {}", defaults.join(", "));
        }
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(meaning, ". Also from `{}`", variable.to_string_lossy());
    }
    meaning
}

/// Angle brackets would be tags.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}
