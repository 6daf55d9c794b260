#![allow(unsafe_code, reason = "mmap(2) has no safe form; the whole of it is kept in this module")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;

/// A shared mapping of the beginning of a file.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len_bytes: usize,
}

impl Mapping {
    /// Maps the first `len_bytes` of `file`, for writing too if asked.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn new(file: &File, len_bytes: usize, writable: bool) -> io::Result<Self> {
        let access = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len_bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(address) if start != libc::MAP_FAILED => Ok(Self { start: address, len_bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The byte at `offset`, read from the page itself each time. If the page cannot be had, the process gets
    /// SIGBUS.
    pub fn get(&self, offset: usize) -> u8 {
        assert!(offset < self.len_bytes, "outside the mapping");
        // SAFETY: within the mapping, which lives as long as `self`; volatile, for others change it.
        unsafe { self.start.as_ptr().add(offset).read_volatile() }
    }

    /// Changes the byte at `offset`. The mapping must be writable.
    pub fn set(&self, offset: usize, value: u8) {
        assert!(offset < self.len_bytes, "outside the mapping");
        // SAFETY: as in `get`.
        unsafe { self.start.as_ptr().add(offset).write_volatile(value) }
    }

    /// msync(2) with MS_SYNC: returns when the changes are in the file.
    ///
    /// # Errors
    /// Those of msync(2).
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: exactly the mapping.
        let result = unsafe { libc::msync(self.start.as_ptr().cast(), self.len_bytes, libc::MS_SYNC) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping, and nobody has a pointer into it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len_bytes) };
    }
}
