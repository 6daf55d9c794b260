use std::fs;

/// A process that makes a system call, and waits in it until it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Of the thread; 0 when it is in another process namespace.
    pub(super) pid: u32,
}

/// The bit of CAP_FSETID in a set of capabilities (capabilities(7)).
const CAP_FSETID: u64 = 1 << 4;

impl Caller {
    /// Whether it may leave set-group-id on a file of this group: as a member, or by privilege. FUSE hands in one of
    /// its groups only, so the others are looked up while it waits.
    pub(super) fn may_set_group_id(self, group: u32) -> bool {
        if self.gid == group {
            return true;
        }
        match fs::read_to_string(format!("/proc/{}/status", self.pid)) {
            Ok(status) => is_member_or_privileged(&status, group),
            Err(_) => self.uid == 0,
        }
    }
}

/// Reads proc_pid_status(5).
fn is_member_or_privileged(status: &str, group: u32) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let is_member = field("Groups:").split_whitespace().any(|gid| gid.parse() == Ok(group));
    let capabilities = u64::from_str_radix(field("CapEff:").trim(), 16).unwrap_or_default();
    is_member || capabilities & CAP_FSETID != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tsetfacl\nUid:\t1000\t1000\t1000\t1000\nGid:\t5\t5\t5\t5\nGroups:\t7 1000 \nCapEff:\t0000000000000000\n";

    #[test]
    fn groups_and_privileges_are_read_from_the_status() {
        assert!(is_member_or_privileged(STATUS, 7) && is_member_or_privileged(STATUS, 1000));
        assert!(!is_member_or_privileged(STATUS, 100));
        assert!(is_member_or_privileged(&STATUS.replace("0000000000000000", "0000000000000010"), 100));
        assert!(!is_member_or_privileged(&STATUS.replace("0000000000000000", "000001ffffffffef"), 100));
        assert!(!is_member_or_privileged("", 0));
    }

    #[test]
    fn who_cannot_be_looked_up_is_judged_by_what_the_kernel_said() {
        let caller = |uid| Caller { uid, gid: 5, pid: 0 };
        assert!(caller(1000).may_set_group_id(5) && !caller(1000).may_set_group_id(6) && caller(0).may_set_group_id(6));
    }
}
