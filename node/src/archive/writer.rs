use std::io::{self, Write};

use super::frame::{Frame, MAGIC, Summary};

/// Writes a stream.
pub(super) struct Writer<W> {
    to: W,
    hasher: blake3::Hasher,
    summary: Summary,
}

impl<W: Write> Writer<W> {
    /// Begins a stream.
    pub(super) fn start(mut to: W) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        Ok(Self { to, hasher: blake3::Hasher::new(), summary: Summary::default() })
    }

    /// Adds a frame.
    pub(super) fn put(&mut self, frame: &Frame) -> io::Result<()> {
        let content = postcard::to_stdvec(frame).map_err(io::Error::other)?;
        self.hasher.update(&content);
        self.summary.count(frame);
        self.write(&content)
    }

    /// Ends the stream, and gives what it was written to.
    pub(super) fn finish(mut self) -> io::Result<(W, Summary)> {
        let end = Frame::End { summary: self.summary, hash: *self.hasher.finalize().as_bytes() };
        let content = postcard::to_stdvec(&end).map_err(io::Error::other)?;
        self.write(&content)?;
        self.to.flush()?;
        Ok((self.to, self.summary))
    }

    fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(&crc32c::crc32c(content).to_le_bytes())?;
        self.to.write_all(content)
    }
}
