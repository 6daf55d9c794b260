//! A note in the data directory of where the segments are.
//!
//! Metadata names segments without saying where they are; a node that came up on another place would answer every
//! read of existing data with an error. So the place is noted at the first start, and another one is refused.

use std::fs;
use std::io;
use std::path::Path;

use super::{BlobError, BlobsConfig};

const NOTE: &str = "blob-home";
/// Where segments are below the data directory; a directory of this name is older than the note.
pub(crate) const DIRECTORY: &str = "blobs";

/// Checks that the configured place is the one in use, or notes it if none is.
///
/// # Errors
/// [`BlobError::Unusable`] when the segments are elsewhere, [`BlobError::Io`] when the note cannot be read or written.
pub(crate) fn claim(data: &Path, config: &BlobsConfig) -> Result<(), BlobError> {
    let (note, wanted) = (data.join(NOTE), config.home());
    let noted = match fs::read_to_string(&note) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => data.join(DIRECTORY).is_dir().then(|| BlobsConfig::Directory.home()),
        Err(error) => return Err(error.into()),
    };
    match noted {
        Some(noted) if noted == wanted => Ok(()),
        Some(noted) => Err(BlobError::Unusable {
            reason: format!(
                "the segments of this node are in `{noted}`, the configuration says `{wanted}`; set it back, or start \
                 with an empty data directory"
            ),
        }),
        None => {
            // Renamed into place, so that a crash leaves no half of it; the directory is synced with the first file of the store.
            let unnamed = data.join(format!("{NOTE}.new"));
            fs::write(&unnamed, wanted + "\n")?;
            fs::File::open(&unnamed)?.sync_all()?;
            fs::rename(&unnamed, &note)?;
            Ok(fs::File::open(data)?.sync_all()?)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blob::S3Config;

    fn bucket(prefix: &str, endpoint: &str) -> BlobsConfig {
        BlobsConfig::S3(S3Config { prefix: prefix.to_owned(), endpoint: Some(endpoint.to_owned()), ..S3Config::new("b") })
    }

    #[test]
    fn a_place_once_chosen_stays() {
        let data = tempfile::tempdir().unwrap();
        claim(data.path(), &bucket("p", "http://one")).unwrap();
        claim(data.path(), &bucket("/p/", "http://two")).expect("the server may move");
        for other in [bucket("q", "http://one"), BlobsConfig::Directory] {
            let error = claim(data.path(), &other).unwrap_err();
            assert!(matches!(error, BlobError::Unusable { .. }), "{error}");
        }
    }

    #[test]
    fn a_directory_from_before_the_note_counts() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join(DIRECTORY)).unwrap();
        assert!(claim(data.path(), &bucket("p", "http://one")).is_err());
        claim(data.path(), &BlobsConfig::Directory).unwrap();
    }
}
