use std::io::Read;

use super::ArchiveError;
use super::frame::{FRAME_MAX_BYTES, Frame, MAGIC, Summary};

/// Reads a stream and checks it.
pub(super) struct Reader<R> {
    from: R,
    hasher: blake3::Hasher,
    summary: Summary,
}

fn damaged<T>(reason: impl Into<String>) -> Result<T, ArchiveError> {
    Err(ArchiveError::Damaged(reason.into()))
}

impl<R: Read> Reader<R> {
    /// Begins with a stream.
    pub(super) fn start(mut from: R) -> Result<Self, ArchiveError> {
        let mut magic = [0; MAGIC.len()];
        match from.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => Ok(Self { from, hasher: blake3::Hasher::new(), summary: Summary::default() }),
            Ok(()) => damaged("it is no export of a node, or one of another version"),
            Err(error) => Err(short(error)),
        }
    }

    /// The next frame; `None` at the end of a stream that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, ArchiveError> {
        let mut head = [0; 8];
        self.from.read_exact(&mut head).map_err(short)?;
        let [a, b, c, d, rest @ ..] = head;
        let (length, crc) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes(rest));
        if length > FRAME_MAX_BYTES {
            return damaged(format!("a part claims to be {length} bytes long"));
        }
        let mut content = vec![0; length];
        self.from.read_exact(&mut content).map_err(short)?;
        if crc32c::crc32c(&content) != crc {
            return damaged("the checksum of a part is not that of its content");
        }
        let frame: Frame = postcard::from_bytes(&content).or_else(|error| damaged(format!("a part cannot be read: {error}")))?;
        if let Frame::End { summary, hash } = frame {
            let whole = summary == self.summary && hash == *self.hasher.finalize().as_bytes();
            let is_last = self.from.read(&mut [0])? == 0;
            return if whole && is_last { Ok(None) } else { damaged("parts are missing or too many") };
        }
        self.hasher.update(&content);
        self.summary.count(&frame);
        Ok(Some(frame))
    }

    /// What came so far.
    pub(super) fn summary(&self) -> Summary {
        self.summary
    }
}

fn short(error: std::io::Error) -> ArchiveError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return ArchiveError::Damaged("it ends too early".to_owned());
    }
    error.into()
}
