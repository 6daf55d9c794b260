/// What a member has sent, sealed; without the headers of IP and UDP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    pub(super) longest_bytes: u64,
}

impl Traffic {
    pub(super) fn count(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.datagrams += 1;
        self.bytes += bytes;
        self.longest_bytes = self.longest_bytes.max(bytes);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.longest_bytes = self.longest_bytes.max(other.longest_bytes);
    }
}
