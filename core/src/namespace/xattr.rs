//! Extended attributes and access control lists: what SetXattr, RemoveXattr and SetAcl do, and what creation, chmod(2)
//! and changes of content do to what is there.
//!
//! Names and values count towards the quota on bytes, as the blocks that hold them do on ext4 and XFS.

use bytes::Bytes;

use super::acl::{Acl, is_acl_name};
use super::apply::{Context, Outcome, Stop};
use super::transaction::Transaction;
use super::{
    ACL_ACCESS, ACL_DEFAULT, AclKind, Errno, FileKind, Ino, Inode, Key, NAME_MAX_BYTES, Nanos, Record, View, XATTR_MAX_BYTES, XattrMode,
};

/// File capabilities, which a change of content or owner takes away (capabilities(7)).
const CAPABILITY: Bytes = Bytes::from_static(b"security.capability");

/// What a SetXattr op brings.
pub(super) struct NewXattr<'a> {
    pub(super) name: &'a Bytes,
    pub(super) value: &'a Bytes,
    pub(super) mode: XattrMode,
}

/// What a SetAcl op brings.
pub(super) struct AclChange<'a> {
    pub(super) kind: AclKind,
    pub(super) acl: Option<&'a Bytes>,
    pub(super) kill_set_group_id: bool,
}

impl<V: View> Transaction<'_, V> {
    pub(super) fn set_xattr(
        &mut self,
        context: &Context,
        ino: Ino,
        new: NewXattr<'_>,
        now: Nanos,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        let NewXattr { name, value, mode } = new;
        let mut inode = self.inode(ino)?;
        if name.is_empty() || name.len() > NAME_MAX_BYTES || name.contains(&0) {
            return Err(Errno::ERANGE.into());
        }
        if is_acl_name(name) {
            // Kept as a plain attribute one would look like protection and be none.
            return Err(Errno::EOPNOTSUPP.into());
        }
        if value.len() > XATTR_MAX_BYTES {
            return Err(Errno::E2BIG.into());
        }
        match (mode, self.xattr(&inode, name)?.is_some()) {
            (XattrMode::Create, true) => return Err(Errno::EEXIST.into()),
            (XattrMode::Replace, false) => return Err(Errno::ENODATA.into()),
            _ => {}
        }
        let before = self.usage()?.bytes;
        self.put_xattr(&mut inode, name, value.clone())?;
        self.check_quota(context, before)?;
        self.finish_change(inode, now, outcome);
        Ok(())
    }

    pub(super) fn remove_xattr(&mut self, ino: Ino, name: &Bytes, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        let mut inode = self.inode(ino)?;
        if is_acl_name(name) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if !self.drop_xattr(&mut inode, name)? {
            return Err(Errno::ENODATA.into());
        }
        self.finish_change(inode, now, outcome);
        Ok(())
    }

    /// As the kernel's own file systems do it: an access list sets the mode as well, and one that says no more than
    /// the mode is not kept. Removing a list that is not there is no error.
    pub(super) fn set_acl(
        &mut self,
        context: &Context,
        ino: Ino,
        change: AclChange<'_>,
        now: Nanos,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        let mut inode = self.inode(ino)?;
        let acl = change.acl.map(|bytes| Acl::parse(bytes)).transpose()?.flatten();
        if inode.attr.kind == FileKind::Symlink {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let before = self.usage()?.bytes;
        match (change.kind, acl) {
            (AclKind::Default, Some(_)) if !inode.is_dir() => return Err(Errno::EACCES.into()),
            (AclKind::Default, Some(acl)) => self.put_xattr(&mut inode, &ACL_DEFAULT, acl.encode())?,
            (AclKind::Default, None) => {
                self.drop_xattr(&mut inode, &ACL_DEFAULT)?;
            }
            (AclKind::Access, Some(acl)) => {
                inode.attr.mode = inode.attr.mode & 0o7000 | acl.mode();
                if change.kill_set_group_id {
                    inode.attr.mode &= !0o2000;
                }
                self.keep_access_acl(&mut inode, &acl)?;
            }
            (AclKind::Access, None) => {
                self.drop_xattr(&mut inode, &ACL_ACCESS)?;
            }
        }
        self.check_quota(context, before)?;
        self.finish_change(inode, now, outcome);
        Ok(())
    }

    /// Sets the permission bits, also in the access list if there is one.
    pub(super) fn set_mode(&mut self, inode: &mut Inode, mode: u16) -> Result<(), Stop> {
        inode.attr.mode = mode;
        if let Some(mut acl) = self.acl(inode, &ACL_ACCESS)? {
            acl.set_mode(mode);
            self.put_xattr(inode, &ACL_ACCESS, acl.encode())?;
        }
        Ok(())
    }

    /// Gives a new inode what its directory hands down; without a list there it is the umask that restricts it.
    pub(super) fn inherit_acl(&mut self, dir: &Inode, inode: &mut Inode, umask: u16) -> Result<(), Stop> {
        let Some(default) = self.acl(dir, &ACL_DEFAULT)? else {
            inode.attr.mode &= !(umask & 0o777);
            return Ok(());
        };
        let mut acl = default.clone();
        inode.attr.mode = inode.attr.mode & 0o7000 | acl.restrict(inode.attr.mode);
        self.keep_access_acl(inode, &acl)?;
        if inode.is_dir() {
            self.put_xattr(inode, &ACL_DEFAULT, default.encode())?;
        }
        Ok(())
    }

    /// A change of content or owner takes file capabilities away, whoever makes it.
    pub(super) fn kill_capability(&mut self, inode: &mut Inode) -> Result<(), Stop> {
        if !inode.is_dir() {
            self.drop_xattr(inode, &CAPABILITY)?;
        }
        Ok(())
    }

    /// Takes an attribute out of the records and the accounts.
    pub(super) fn erase_xattr(&mut self, inode: &mut Inode, name: &Bytes, value: &Bytes) -> Result<(), Stop> {
        inode.xattrs = inode.xattrs.saturating_sub(1);
        inode.xattr_bytes = inode.xattr_bytes.saturating_sub(bytes_of(name, value));
        self.account(|bytes| bytes.saturating_sub(bytes_of(name, value)))?;
        self.delete(Key::Xattr(inode.attr.ino, name.clone()));
        Ok(())
    }

    fn keep_access_acl(&mut self, inode: &mut Inode, acl: &Acl) -> Result<(), Stop> {
        if acl.is_mode() {
            self.drop_xattr(inode, &ACL_ACCESS)?;
            Ok(())
        } else {
            self.put_xattr(inode, &ACL_ACCESS, acl.encode())
        }
    }

    fn acl(&self, inode: &Inode, name: &Bytes) -> Result<Option<Acl>, Stop> {
        match self.xattr(inode, name)? {
            Some(bytes) => Ok(Acl::parse(&bytes)?),
            None => Ok(None),
        }
    }

    /// Most inodes have no attribute, and cost no look.
    fn xattr(&self, inode: &Inode, name: &Bytes) -> Result<Option<Bytes>, Stop> {
        if inode.xattrs == 0 {
            return Ok(None);
        }
        match self.get(&Key::Xattr(inode.attr.ino, name.clone()))? {
            Some(Record::Xattr(value)) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    fn put_xattr(&mut self, inode: &mut Inode, name: &Bytes, value: Bytes) -> Result<(), Stop> {
        self.drop_xattr(inode, name)?;
        inode.xattrs += 1;
        inode.xattr_bytes += bytes_of(name, &value);
        self.account(|bytes| bytes + bytes_of(name, &value))?;
        self.put(Key::Xattr(inode.attr.ino, name.clone()), Record::Xattr(value));
        Ok(())
    }

    /// Whether it was there.
    fn drop_xattr(&mut self, inode: &mut Inode, name: &Bytes) -> Result<bool, Stop> {
        match self.xattr(inode, name)? {
            Some(value) => self.erase_xattr(inode, name, &value).map(|()| true),
            None => Ok(false),
        }
    }

    fn account(&mut self, change: impl FnOnce(u64) -> u64) -> Result<(), Stop> {
        let mut usage = self.usage()?;
        usage.bytes = change(usage.bytes);
        self.put(Key::Usage, Record::Usage(usage));
        Ok(())
    }

    fn finish_change(&mut self, mut inode: Inode, now: Nanos, outcome: &mut Outcome) {
        inode.change(now);
        outcome.attr = Some(inode.attr.clone());
        self.put_inode(inode);
    }
}

/// What an attribute counts.
pub(super) fn bytes_of(name: &[u8], value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64
}
