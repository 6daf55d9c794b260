use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::store::{Content, Outcome, Store};
use crate::time::wall;

/// As the product's mount under the lease.
const BELIEVE_FOR: Duration = Duration::from_secs(24 * 3600);
const REQUEST_MAX_BYTES: u32 = 1 << 20;
const BACKGROUND_MAX: u16 = 64;

/// What the kernel calls.
pub(super) struct FloorFs {
    pub(super) store: Arc<Mutex<Store>>,
}

fn errno(number: i32) -> Errno {
    Errno::from_i32(number)
}

fn enter(reply: ReplyEntry, found: Outcome<fuser::FileAttr>) {
    match found {
        Ok(attr) => reply.entry(&BELIEVE_FOR, &attr, Generation(0)),
        Err(number) => reply.error(errno(number)),
    }
}

fn done(reply: ReplyEmpty, outcome: Outcome<()>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(number) => reply.error(errno(number)),
    }
}

/// As the product's mount opens files when it is alone.
fn how_to_open(flags: i32) -> FopenFlags {
    if flags & libc::O_ACCMODE == libc::O_RDONLY { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::FOPEN_DIRECT_IO }
}

impl FloorFs {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filesystem for FloorFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for capability in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ASYNC_READ,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_BIG_WRITES,
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_POSIX_ACL,
            InitFlags::FUSE_DONT_MASK,
        ] {
            let _ = config.add_capabilities(capability);
        }
        let _ = config.set_max_write(REQUEST_MAX_BYTES);
        let _ = config.set_max_readahead(REQUEST_MAX_BYTES);
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.store().find(parent.0, name);
        enter(reply, found);
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.store().forget(ino.0, lookups);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let attr = self.store().node(ino.0).map(|node| node.attr);
        match attr {
            Ok(attr) => reply.attr(&BELIEVE_FOR, &attr),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let time = |time| match time {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => wall(),
        };
        let set = || -> Outcome<fuser::FileAttr> {
            let mut store = self.store();
            let node = store.node(ino.0)?;
            if let Some(size) = size {
                node.resize(size)?;
            }
            let attr = &mut node.attr;
            attr.perm = mode.map_or(attr.perm, |mode| (mode & 0o7777) as u16);
            (attr.uid, attr.gid) = (uid.unwrap_or(attr.uid), gid.unwrap_or(attr.gid));
            (attr.atime, attr.mtime) = (atime.map_or(attr.atime, time), mtime.map_or(attr.mtime, time));
            attr.ctime = wall();
            Ok(*attr)
        };
        match set() {
            Ok(attr) => reply.attr(&BELIEVE_FOR, &attr),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.store().node(ino.0).map(|node| &node.content) {
            Ok(Content::Link(target)) => reply.data(target),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: u32, reply: ReplyEntry) {
        let owner = (request.uid(), request.gid());
        let made = self.store().make(parent.0, name, Content::File(Vec::new()), mode & !umask, owner);
        enter(reply, made);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let owner = (request.uid(), request.gid());
        let made = self.store().make(parent.0, name, Content::Directory(Default::default()), mode & !umask, owner);
        enter(reply, made);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let content = Content::Link(target.as_os_str().as_bytes().to_vec());
        let made = self.store().make(parent.0, name, content, 0o777, (request.uid(), request.gid()));
        enter(reply, made);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.store().remove(parent.0, name, false);
        done(reply, removed);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.store().remove(parent.0, name, true);
        done(reply, removed);
    }

    fn rename(&self, _: &Request, parent: INodeNo, name: &OsStr, new_parent: INodeNo, new: &OsStr, flags: RenameFlags, reply: ReplyEmpty) {
        let replaces = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        let renamed = self.store().rename((parent.0, name), (new_parent.0, new), replaces);
        done(reply, renamed);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.store().link(ino.0, parent.0, name);
        enter(reply, linked);
    }

    fn create(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, flags: i32, reply: ReplyCreate) {
        let owner = (request.uid(), request.gid());
        let made = self.store().make(parent.0, name, Content::File(Vec::new()), mode & !umask, owner);
        match made {
            Ok(attr) => reply.created(&BELIEVE_FOR, &attr, Generation(0), FileHandle(0), how_to_open(flags)),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        // To cut a file the kernel sets its size before.
        reply.opened(FileHandle(0), how_to_open(flags.0));
    }

    fn read(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, size: u32, _: OpenFlags, _: Option<LockOwner>, reply: ReplyData) {
        match self.store().node(ino.0).and_then(|node| node.data()) {
            Ok(data) => {
                let start = data.len().min(offset as usize);
                reply.data(&data[start..data.len().min(start + size as usize)]);
            }
            Err(number) => reply.error(errno(number)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.store().node(ino.0).and_then(|node| node.write(offset, data)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(&self, _: &Request, _: INodeNo, _: FileHandle, _: OpenFlags, _: Option<LockOwner>, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut store = self.store();
        let entries: Vec<_> = match store.entries(ino.0) {
            Ok(entries) => entries.iter().skip(offset as usize).map(|(name, &ino)| (name.clone(), ino)).collect(),
            Err(number) => return reply.error(errno(number)),
        };
        for (index, (name, ino)) in entries.into_iter().enumerate() {
            let kind = store.node(ino).map_or(FileType::RegularFile, |node| node.attr.kind);
            if reply.add(INodeNo(ino), offset + index as u64 + 1, kind, &name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, _: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30, 4096, 255, 4096);
    }

    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        reply.error(Errno::EOPNOTSUPP);
    }

    // Not ENOSYS: behind that the kernel would not ask again, and it does ask the product.
    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENODATA);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, size: u32, reply: ReplyXattr) {
        if size == 0 { reply.size(0) } else { reply.data(&[]) }
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(&self, _: &Request, _: INodeNo, _: FileHandle, _: IoctlFlags, _: u32, _: &[u8], _: u32, reply: ReplyIoctl) {
        reply.error(Errno::ENOTTY);
    }
}
