//! What mdBook does not do by itself: lays out the pages for it, and checks what it has made of them.
//!
//! `book lay FROM TO` copies the pages. Links that lead out of them, to sources, lead to copies in the book, or below `DOCS_SOURCE` if that is
//! set (an address that ends with a commit or branch). `book check DIR` fails if a link of the book leads nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["lay", from, to] => lay(Path::new(from), Path::new(to)),
        ["check", dir] => check(Path::new(dir)),
        _ => bail!("book lay FROM TO, or book check DIR"),
    }
}

/// The files below a directory, relative to it.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push(path.strip_prefix(dir)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    fs::write(path, content).with_context(|| path.display().to_string())
}

fn lay(from: &Path, to: &Path) -> Result<()> {
    let root = from.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let elsewhere = std::env::var("DOCS_SOURCE").ok();
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    for page in files(from)? {
        let content = fs::read(from.join(&page))?;
        if page.extension().is_none_or(|extension| extension != "md") {
            write(&to.join(&page), &content)?;
            continue;
        }
        let folder = page.parent().context("a page has a folder")?;
        let text = rewritten(&String::from_utf8(content)?, |link| {
            let (file, _) = link.split_once('#').unwrap_or((link, ""));
            let Some(outside) = outside(folder, file) else { return Ok(Some(inner(&page, link))) };
            if let Some(elsewhere) = &elsewhere {
                return Ok(Some(format!("{}/{}", elsewhere.trim_end_matches('/'), outside.display())));
            }
            let source = root.join(&outside);
            if !source.is_file() {
                return Ok(None);
            }
            // Whatever has `.md` in it mdBook takes for a page.
            let copy = Path::new("source").join(format!("{}.txt", outside.display().to_string().replace(".md", "_md")));
            write(&to.join(&copy), &fs::read(source)?)?;
            Ok(Some(format!("{}{}", "../".repeat(folder.components().count()), copy.display())))
        })
        .with_context(|| page.display().to_string())?;
        let text = if page == Path::new("SUMMARY.md") { with_notes(&text, &from.join("design"))? } else { text };
        write(&to.join(&page), text.as_bytes())?;
    }
    Ok(())
}

/// The table of contents with each design note below their list, so that a new one is there by itself.
fn with_notes(contents: &str, design: &Path) -> Result<String> {
    let mut text = contents.trim_end().to_owned() + "\n";
    for note in files(design)?
        .into_iter()
        .filter(|note| note.extension().is_some_and(|extension| extension == "md") && note != Path::new("README.md"))
    {
        let content = fs::read_to_string(design.join(&note))?;
        let title = content.lines().next().and_then(|line| line.strip_prefix("# ")).context("a note begins with its title")?;
        text.push_str(&format!("    - [{title}](design/{})\n", note.display()));
    }
    Ok(text)
}

/// mdBook calls a folder's page `index`, but for those that link to it; its table of contents it reads as it is.
fn inner(page: &Path, link: &str) -> String {
    if page == Path::new("SUMMARY.md") { link.to_owned() } else { link.replace("README.md", "index.md") }
}

/// Where a link leads that leaves the folder of all pages, below the root of the tree.
fn outside(folder: &Path, link: &str) -> Option<PathBuf> {
    if link.is_empty() || link.contains("://") {
        return None;
    }
    let mut path: Vec<_> = folder.components().collect();
    let mut left = false;
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => left |= path.pop().is_none(),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    left.then(|| path.iter().collect())
}

/// A page with each link as `target` wants it; where it wants none, its text alone is left.
fn rewritten(text: &str, mut target: impl FnMut(&str) -> Result<Option<String>>) -> Result<String> {
    let mut page = String::new();
    let mut in_block = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        if in_block || fence {
            page.push_str(line);
        } else {
            line_rewritten(&mut page, line, &mut target)?;
        }
        page.push('\n');
    }
    Ok(page)
}

fn line_rewritten(page: &mut String, line: &str, target: &mut impl FnMut(&str) -> Result<Option<String>>) -> Result<()> {
    let mut rest = line;
    while let Some(middle) = rest.find("](") {
        let (before, after) = (&rest[..middle], &rest[middle + 2..]);
        let end = after.find(')').context("a link without an end")?;
        // The text may have brackets of its own, in code.
        let start = opening(before).context("a link without a beginning")?;
        page.push_str(&before[..start]);
        match target(&after[..end])? {
            Some(link) => page.push_str(&format!("[{}]({link})", &before[start + 1..])),
            None => page.push_str(&before[start + 1..]),
        }
        rest = &after[end + 1..];
    }
    page.push_str(rest);
    Ok(())
}

/// The bracket that the end of `text` stands in.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in text.char_indices().rev() {
        match letter {
            ']' => depth += 1,
            '[' if depth == 0 => return Some(at),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn check(dir: &Path) -> Result<()> {
    let mut ids: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut links: Vec<(PathBuf, String)> = Vec::new();
    // The page for what is not there is shown at any address, so its links begin at the site's root.
    for file in
        files(dir)?.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "html") && !file.ends_with("404.html"))
    {
        let text = fs::read_to_string(dir.join(&file))?;
        ids.insert(file.clone(), attributes(&text, " id=\"").into_iter().collect());
        for link in attributes(&text, " href=\"").into_iter().chain(attributes(&text, " src=\"")) {
            links.push((file.clone(), link));
        }
    }
    let mut broken = BTreeSet::new();
    let mut checked = 0;
    for (page, link) in links {
        if link.contains("://") || link.starts_with("mailto:") || link.starts_with("data:") || link == "#" {
            continue;
        }
        checked += 1;
        let (file, fragment) = link.split_once('#').map_or((link.as_str(), ""), |(file, fragment)| (file, fragment));
        let base = page.parent().context("a page has a folder")?;
        let target = if file.is_empty() { Some(page.clone()) } else { inside(base, file) };
        let found = target.filter(|target| dir.join(target).is_file());
        let known = found.as_ref().is_some_and(|target| fragment.is_empty() || ids.get(target).is_some_and(|ids| ids.contains(fragment)));
        if !known {
            broken.insert(format!("{}: {link}", page.display()));
        }
    }
    let list: Vec<_> = broken.into_iter().collect();
    ensure!(checked > 500 && list.is_empty(), "of {checked} links of the book these are broken:\n{}", list.join("\n"));
    println!("{checked} links of the book lead somewhere");
    Ok(())
}

fn inside(base: &Path, link: &str) -> Option<PathBuf> {
    let mut path = base.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir if !path.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => path.push(part),
        }
    }
    Some(path)
}

fn attributes(text: &str, start: &str) -> Vec<String> {
    text.split(start).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.replace("&amp;", "&").replace("&#x27;", "'"))).collect()
}
