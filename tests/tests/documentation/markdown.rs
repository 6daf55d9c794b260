use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The root of the tree.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")
}

/// A page of the documentation.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it is, below the root of the tree.
    pub(crate) path: PathBuf,
    /// What the test provides before its first block, as `<!-- with: … -->` says.
    pub(crate) with: Vec<String>,
    /// Its blocks and checks, in their order.
    pub(crate) steps: Vec<Step>,
    /// Its prose, without code.
    pub(crate) prose: String,
    /// The anchors of its headings.
    pub(crate) anchors: Vec<String>,
}

/// What a page has the reader do, or the test.
#[derive(Debug)]
pub(crate) enum Step {
    /// A block of code.
    Block(Block),
    /// `<!-- check: COMMAND -->`: a command that must succeed here, which readers do not see.
    Check(String),
}

/// A block of code.
#[derive(Debug)]
pub(crate) struct Block {
    /// The line on which it begins.
    pub(crate) line: usize,
    /// Its language, empty where none is named.
    pub(crate) language: String,
    /// Why it is not run, as `<!-- not run: … -->` before it says.
    pub(crate) not_run: Option<String>,
    /// What is in it.
    pub(crate) text: String,
}

impl Page {
    /// Reads the page at `path`, below the root of the tree.
    ///
    /// # Errors
    /// If it cannot be read, or a block has no end.
    pub(crate) fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let text = fs::read_to_string(root()?.join(&path)).with_context(|| path.display().to_string())?;
        let mut page = Self { path, with: Vec::new(), steps: Vec::new(), prose: String::new(), anchors: Vec::new() };
        let mut reason = None;
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if let Some(info) = line.trim_start().strip_prefix("```") {
                let indent = line.len() - line.trim_start().len();
                let text = block(&mut lines, indent).with_context(|| format!("{}:{}: no end", page.path.display(), number + 1))?;
                let language = info.trim().to_owned();
                page.steps.push(Step::Block(Block { line: number + 1, language, not_run: reason.take(), text }));
            } else if let Some(comment) = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
                match comment.split_once(": ") {
                    Some(("with", what)) => page.with.extend(what.split(", ").map(str::to_owned)),
                    Some(("check", command)) => page.steps.push(Step::Check(command.to_owned())),
                    Some(("not run", why)) => reason = Some(why.to_owned()),
                    _ => {}
                }
            } else {
                if let Some(heading) = line.strip_prefix('#') {
                    page.anchors.push(anchor(heading.trim_start_matches('#').trim(), &page.anchors));
                }
                page.prose.push_str(line);
                page.prose.push('\n');
            }
        }
        Ok(page)
    }

    /// Its blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.steps.iter().filter_map(|step| match step {
            Step::Block(block) => Some(block),
            Step::Check(_) => None,
        })
    }

    /// Where its links lead, in their order.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose.lines() {
            let mut rest = without_code(line);
            while let Some(start) = rest.find("](") {
                let tail = &rest[start + 2..];
                let end = tail.find(')').unwrap_or(tail.len());
                links.push(tail[..end].to_owned());
                rest = tail[end..].to_owned();
            }
        }
        links
    }
}

impl Block {
    /// Whether it is a program, and not data or what one prints.
    pub(crate) fn is_program(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "ts" | "python")
    }
}

fn block<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, indent: usize) -> Option<String> {
    let mut text = String::new();
    for (_, line) in lines {
        if line.trim() == "```" {
            return Some(text);
        }
        let margin = line.len() - line.trim_start().len();
        text.push_str(&line[margin.min(indent)..]);
        text.push('\n');
    }
    None
}

/// A line without what stands between backticks; but the text of a link may be code.
fn without_code(line: &str) -> String {
    line.split('`').enumerate().filter_map(|(number, part)| (number % 2 == 0).then_some(part)).collect()
}

/// What a heading is called in an address: by the rule of GitHub and of mdBook.
fn anchor(heading: &str, taken: &[String]) -> String {
    let text: String = heading
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect();
    let same = |other: &&String| **other == text || other.strip_prefix(&format!("{text}-")).is_some_and(|rest| rest.parse::<u32>().is_ok());
    match taken.iter().filter(same).count() {
        0 => text,
        number => format!("{text}-{number}"),
    }
}

/// Every page that there is, below the root of the tree.
pub(crate) fn all_pages() -> Result<Vec<PathBuf>> {
    let root = root()?;
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/design", "docs/reference", "deploy", "sdk/typescript", "sdk/python"] {
        for entry in fs::read_dir(root.join(folder)).with_context(|| folder.to_owned())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    pages.sort();
    Ok(pages)
}
