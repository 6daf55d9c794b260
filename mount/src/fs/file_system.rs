use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use artifacts_core::namespace::NewNode;
use bytes::Bytes;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner,
    OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyIoctl, ReplyLock, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::attributes::{self, Setting};
use super::caller::Caller;
use super::creation::{self, Maker, node_of};
use super::locks::{self, Wanted};
use super::thread::Thread;
use super::{acls, content, copying, directories, files, names, xattrs};
use crate::agent::Agent;

/// The longest read or write that the kernel sends in one request, in bytes.
const REQUEST_MAX_BYTES: u32 = 1 << 20;
/// How many read-aheads and other background requests may be under way.
const BACKGROUND_MAX: u16 = 64;

/// What the kernel calls; every method hands over to the module of its topic.
#[derive(Debug)]
pub(crate) struct ArtifactsFs {
    agent: Arc<Agent>,
}

impl ArtifactsFs {
    /// The file system of a mount; one that is read-only tells nobody when a file was read.
    pub(crate) fn new(agent: Arc<Agent>, read_only: bool) -> Self {
        if read_only {
            agent.inodes.access_times.turn_off();
        }
        Self { agent }
    }
}

fn maker(request: &Request, mode: u32, umask: u32) -> Maker {
    Maker { uid: request.uid(), gid: request.gid(), mode, umask, thread: Thread(request.pid()) }
}

fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid(), pid: request.pid() }
}

impl Filesystem for ArtifactsFs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Each is an improvement that an older kernel may lack. FUSE_ATOMIC_O_TRUNC is none: with it the kernel lets an open cut
        // a program that is being executed before it finds that this is refused.
        for capability in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ASYNC_READ,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_BIG_WRITES,
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        ] {
            let _ = config.add_capabilities(capability);
        }
        // Programs map files that they write, so without this writes have to go through the page cache.
        let writes_directly = config.add_capabilities(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP).is_ok();
        self.agent.writes_directly.store(writes_directly, Ordering::Relaxed);
        // Without it pages would not follow what other mounts write.
        // Without the others access control lists would not be enforced, or creation not follow them, or locks not leave the
        // kernel.
        let needed = InitFlags::FUSE_AUTO_INVAL_DATA
            | InitFlags::FUSE_POSIX_ACL
            | InitFlags::FUSE_DONT_MASK
            | InitFlags::FUSE_POSIX_LOCKS
            | InitFlags::FUSE_FLOCK_LOCKS;
        config.add_capabilities(needed).map_err(|_| io::Error::from_raw_os_error(libc::EPROTO))?;
        let nearest = |set: Result<u32, u32>| set.err();
        if let Some(most) = nearest(config.set_max_write(REQUEST_MAX_BYTES)) {
            let _ = config.set_max_write(most);
        }
        if let Some(most) = nearest(config.set_max_readahead(REQUEST_MAX_BYTES)) {
            let _ = config.set_max_readahead(most);
        }
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        names::lookup(&self.agent, Thread(request.pid()), parent, name, reply);
    }

    fn forget(&self, _request: &Request, ino: INodeNo, lookups: u64) {
        let ino = self.agent.numbers.to_node(ino);
        if self.agent.inodes.forgotten(ino, lookups) {
            self.agent.audiences.forgotten(ino);
        }
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        attributes::get(&self.agent, Thread(request.pid()), ino, reply);
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let thread = Thread(request.pid());
        attributes::set(&self.agent, ino, Setting { thread, caller: request.uid(), mode, uid, gid, size, atime, mtime }, reply);
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        names::read_link(&self.agent, ino, reply);
    }

    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32, reply: ReplyEntry) {
        creation::make(&self.agent, parent, name, node_of(mode, rdev), maker(request, mode, umask), reply);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        creation::make(&self.agent, parent, name, Ok(NewNode::Directory), maker(request, mode, umask), reply);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let target = Bytes::copy_from_slice(target.as_os_str().as_bytes());
        creation::make(&self.agent, parent, name, Ok(NewNode::Symlink(target)), maker(request, 0o777, 0), reply);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        names::unlink(&self.agent, Thread(request.pid()), parent, name, reply);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        names::remove_dir(&self.agent, Thread(request.pid()), parent, name, reply);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        names::rename(&self.agent, Thread(request.pid()), (parent, name), (new_parent, new_name), flags, reply);
    }

    fn link(&self, request: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        names::link(&self.agent, Thread(request.pid()), ino, parent, name, reply);
    }

    fn create(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, flags: i32, reply: ReplyCreate) {
        creation::create(&self.agent, parent, name, maker(request, mode, umask), flags, reply);
    }

    fn open(&self, _request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        files::open(&self.agent, ino, flags, reply);
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        content::read(&self.agent, ino, offset, size, flags, reply);
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        content::write(&self.agent, ino, offset, data, write_flags, flags, reply);
    }

    fn flush(&self, _request: &Request, ino: INodeNo, handle: FileHandle, lock_owner: LockOwner, reply: ReplyEmpty) {
        files::flush(&self.agent, ino, handle, lock_owner, reply);
    }

    fn release(
        &self,
        _request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        files::release(&self.agent, ino, handle, lock_owner, reply);
    }

    fn fsync(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        files::fsync(&self.agent, ino, reply);
    }

    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        directories::open(&self.agent, reply);
    }

    fn readdir(&self, _request: &Request, ino: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory) {
        directories::read(&self.agent, ino, handle, offset, reply);
    }

    fn releasedir(&self, _request: &Request, _ino: INodeNo, handle: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        directories::release(&self.agent, handle, reply);
    }

    fn fsyncdir(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        files::fsync(&self.agent, ino, reply);
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        attributes::statfs(&self.agent, reply);
    }

    fn setxattr(&self, request: &Request, ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, _position: u32, reply: ReplyEmpty) {
        match acls::kind_of(name) {
            Some(kind) => acls::set(&self.agent, caller(request), ino, kind, Some(Bytes::copy_from_slice(value)), reply),
            None => xattrs::set(&self.agent, ino, name, value, flags, reply),
        }
    }

    fn getxattr(&self, _request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        xattrs::get(&self.agent, ino, name, size, reply);
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        xattrs::list(&self.agent, request.uid(), ino, size, reply);
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match acls::kind_of(name) {
            Some(kind) => acls::set(&self.agent, caller(request), ino, kind, None, reply),
            None => xattrs::remove(&self.agent, ino, name, reply),
        }
    }

    fn fallocate(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, offset: u64, len: u64, mode: i32, reply: ReplyEmpty) {
        files::fallocate(&self.agent, ino, offset, len, mode, reply);
    }

    fn lseek(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        files::lseek(&self.agent, ino, offset, whence, reply);
    }

    fn getlk(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        reply: ReplyLock,
    ) {
        locks::test(&self.agent, Wanted { thread: Thread(request.pid()), ino, handle, owner, range: (start, end), kind, pid }, reply);
    }

    fn setlk(
        &self,
        request: &Request,
        ino: INodeNo,
        handle: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        sleep: bool,
        reply: ReplyEmpty,
    ) {
        locks::set(&self.agent, Wanted { thread: Thread(request.pid()), ino, handle, owner, range: (start, end), kind, pid }, sleep, reply);
    }

    fn access(&self, _request: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // The kernel checks permissions itself, and after this asks no more.
        reply.error(fuser::Errno::ENOSYS);
    }

    fn copy_file_range(
        &self,
        request: &Request,
        ino_in: INodeNo,
        _handle_in: FileHandle,
        offset_in: u64,
        ino_out: INodeNo,
        _handle_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        copying::copy(&self.agent, request.uid(), (ino_in, offset_in), (ino_out, offset_out), len, reply);
    }

    fn poll(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        // The kernel answers itself: files are always ready.
        reply.error(fuser::Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(fuser::Errno::ENOTTY);
    }
}
