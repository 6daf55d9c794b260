//! Files that hold secrets: mode 0600 from their first byte on, and always whole.

use std::io::{self, Write as _};
use std::path::Path;

/// Puts `bytes` and a line end in place of whatever is at `path`. A crash leaves the old file or the new one.
///
/// # Errors
/// The directory is missing or cannot be written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(directory)?.sync_all()
}
