//! Links to files and headings lead somewhere, and so do the paths of files that stand in code.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::markdown::{Page, all_pages, root};

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let pages: BTreeMap<PathBuf, Page> =
        all_pages()?.into_iter().map(|path| Ok((path.clone(), Page::read(path)?))).collect::<Result<_>>()?;
    let mut broken = Vec::new();
    let mut checked = 0;
    for (path, page) in &pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            if let Err(why) = follow(&pages, path, &link) {
                broken.push(format!("{}: {link}: {why}", path.display()));
            }
        }
    }
    ensure!(checked > 300 && broken.is_empty(), "of {checked} links these are broken:\n{}", broken.join("\n"));
    Ok(())
}

fn follow(pages: &BTreeMap<PathBuf, Page>, from: &Path, link: &str) -> Result<()> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { from.to_owned() } else { plain(&from.parent().context("a page has a folder")?.join(file))? };
    ensure!(root()?.join(&target).exists(), "no such file");
    let Some(anchor) = anchor else { return Ok(()) };
    let page = pages.get(&target).context("headings of a page that is none of the documentation")?;
    ensure!(page.anchors.iter().any(|known| known == anchor), "no such heading");
    Ok(())
}

/// A path without `..`, which would not be found below the root otherwise.
fn plain(path: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => ensure!(plain.pop(), "above the root"),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// The pages of the way in name files in code, too.
#[test]
fn the_files_that_contributors_are_sent_to_are_there() -> Result<()> {
    let mut missing = Vec::new();
    let mut checked = 0;
    for path in ["CONTRIBUTING.md", "docs/architecture.md", "docs/design/README.md"] {
        for code in Page::read(path)?.prose.split('`').skip(1).step_by(2) {
            let crates = ["core/", "node/", "mount/", "cli/", "sim/", "tests/", "sdk/", "docs/", "deploy/", "fuzz/"];
            if !crates.iter().any(|name| code.starts_with(name)) || code.contains([' ', '<', '*', '…']) {
                continue;
            }
            for file in alternatives(code) {
                checked += 1;
                if !root()?.join(&file).exists() {
                    missing.push(format!("{path}: {file}"));
                }
            }
        }
    }
    ensure!(checked > 50 && missing.is_empty(), "of {checked} files these are missing:\n{}", missing.join("\n"));
    Ok(())
}

/// `a/{b,c}.rs` means two files.
fn alternatives(path: &str) -> Vec<String> {
    let braces = path.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?)));
    match braces {
        Some((start, (names, end))) => names.split(',').map(|name| format!("{start}{name}{end}")).collect(),
        None => vec![path.to_owned()],
    }
}

#[test]
fn every_page_is_in_the_table_of_contents() -> Result<()> {
    let listed = Page::read("docs/SUMMARY.md")?.links();
    let missing: Vec<_> = all_pages()?
        .into_iter()
        .filter_map(|path| path.strip_prefix("docs").ok().map(Path::to_owned))
        // Design notes are put there by `book lay`.
        .filter(|path| path != Path::new("SUMMARY.md") && path.parent() != Some(Path::new("design")))
        .filter(|path| !listed.iter().any(|link| Path::new(link) == path))
        .collect();
    ensure!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
    Ok(())
}
