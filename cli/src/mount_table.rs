//! What the kernel has mounted, as this process sees it (`/proc/self/mountinfo`, proc(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// On which directory.
    pub(crate) mountpoint: PathBuf,
    /// Such as `ext4` or `fuse.artifacts`.
    pub(crate) kind: String,
}

impl Entry {
    /// Whether it is a mount of this program.
    pub(crate) fn is_ours(&self) -> bool {
        self.kind == "fuse.artifacts"
    }
}

/// All that is mounted; empty where the kernel does not say.
pub(crate) fn entries() -> Vec<Entry> {
    std::fs::read("/proc/self/mountinfo").map(|table| parse(&table)).unwrap_or_default()
}

/// What is mounted exactly on `mountpoint`, the topmost where there are several.
pub(crate) fn mounted_on(mountpoint: &Path) -> Option<Entry> {
    entries().into_iter().rev().find(|entry| entry.mountpoint == mountpoint)
}

/// Whether anything is mounted on `directory` or below it.
#[cfg(feature = "node")]
pub(crate) fn any_below(directory: &Path) -> bool {
    entries().iter().any(|entry| entry.mountpoint.starts_with(directory))
}

/// `36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw`
fn parse(table: &[u8]) -> Vec<Entry> {
    let entry = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ');
        let mountpoint = unescaped(fields.nth(4)?);
        fields.find(|field| field == b"-")?;
        Some(Entry { mountpoint, kind: String::from_utf8_lossy(fields.next()?).into_owned() })
    };
    table.split(|&byte| byte == b'\n').filter_map(entry).collect()
}

/// Blanks, tabs, line ends and backslashes stand as `\040` and the like.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal {
            Some(digits) => {
                bytes.push(digits.iter().fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_escapes_and_optional_fields() {
        let table = b"36 35 98:0 / /mnt/a\\040b\\134 rw,noatime master:1 shared:2 - fuse.artifacts artifacts rw\n\
            37 35 98:1 / / rw - ext4 /dev/root rw\nnonsense\n";
        let entries = parse(table);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0], Entry { mountpoint: PathBuf::from("/mnt/a b\\"), kind: "fuse.artifacts".to_owned() });
        assert_eq!(entries[1].kind, "ext4");
    }

    #[test]
    fn the_kernels_own_table_has_a_root() {
        assert!(mounted_on(Path::new("/")).is_some());
    }
}
