use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::FILE_SYSTEM_TYPE;

/// One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountEntry {
    /// The device's numbers, as in `/sys/class/bdi`.
    pub(crate) device: (u32, u32),
    /// Where it is mounted.
    pub(crate) mount_point: PathBuf,
    /// File system type with its subtype.
    pub(crate) kind: String,
    /// What is mounted, in the file system's own terms.
    pub(crate) source: String,
}

impl MountEntry {
    /// Whether it is one of ours.
    pub(crate) fn is_ours(&self) -> bool {
        self.kind == FILE_SYSTEM_TYPE
    }
}

/// The mounts of this mount namespace, in the order in which they were made.
#[derive(Debug, Clone, Default)]
pub(crate) struct MountTable(Vec<MountEntry>);

impl MountTable {
    /// As it is now.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read("/proc/self/mountinfo")?))
    }

    /// Lines that do not parse are left out.
    fn parse(text: &[u8]) -> Self {
        Self(text.split(|&byte| byte == b'\n').filter_map(parse_line).collect())
    }

    /// What is mounted on exactly this path: the newest, which hides the others.
    pub(crate) fn at(&self, path: &Path) -> Option<&MountEntry> {
        self.0.iter().rev().find(|entry| entry.mount_point == path)
    }
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = std::str::from_utf8(fields.nth(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let mount_point = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    // Optional fields follow, ended by a hyphen.
    let mut rest = fields.skip_while(|&field| field != b"-").skip(1);
    let kind = String::from_utf8_lossy(rest.next()?).into_owned();
    let source = String::from_utf8_lossy(&unescape(rest.next()?)).into_owned();
    Some(MountEntry { device: (major.parse().ok()?, minor.parse().ok()?), mount_point, kind, source })
}

/// Undoes the kernel's escapes: a backslash and three octal digits stand for a space, a tab, a newline, a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = (first == b'\\').then(|| tail.get(..3)).flatten().and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TABLE: &[u8] = b"\
22 28 0:21 / /proc rw,nosuid - proc proc rw
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue
90 28 0:55 / /mnt/a\\040b\\134c\\011d rw,nosuid - fuse.artifacts artifacts:acme/task-1 rw,user_id=0
91 28 0:56 / /mnt/twice rw - tmpfs tmpfs rw
92 91 0:57 / /mnt/twice rw - fuse.artifacts artifacts:acme/x\\040y rw
garbage
93 28 no:device / /mnt/z rw - tmpfs tmpfs rw
";

    #[test]
    fn the_table_is_read_with_its_escapes_and_optional_fields() {
        let table = MountTable::parse(TABLE);
        assert_eq!(table.0.len(), 5);
        let entry = table.at(Path::new("/mnt2")).unwrap();
        assert_eq!((entry.device, entry.kind.as_str(), entry.source.as_str()), ((98, 0), "ext3", "/dev/root"));
        assert!(!entry.is_ours());
        let entry = table.at(Path::new("/mnt/a b\\c\td")).unwrap();
        assert!(entry.is_ours());
        assert_eq!(entry.device, (0, 55));
        assert!(table.at(Path::new("/mnt/z")).is_none());
    }

    #[test]
    fn the_newest_of_several_mounts_on_one_path_counts() {
        let table = MountTable::parse(TABLE);
        assert_eq!(table.at(Path::new("/mnt/twice")).unwrap().source, "artifacts:acme/x y");
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\999\\"), b"\\999\\");
        assert_eq!(unescape(b"\\777"), b"\\777", "not a byte");
    }

    #[test]
    fn this_machine_has_a_root() {
        assert!(MountTable::read().unwrap().at(Path::new("/proc")).is_some());
    }
}
