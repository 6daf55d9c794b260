//! Every mapping to an errno, in one place.

use std::io;

use artifacts_core::namespace::Errno;
use reqwest::StatusCode;

/// In the form in which it goes to the kernel.
pub(crate) fn to_kernel(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.number())
}

/// What a question about an inode, or a change of it, came to. One that does not exist any more was there when the kernel
/// looked its name up, and whoever took it away may have put another in its place: ESTALE makes the kernel look again, and
/// find that one, or that there is none.
pub(crate) fn of_inode(errno: Errno) -> Errno {
    if errno == Errno::ENOENT { Errno::ESTALE } else { errno }
}

/// What a failed exchange with the data endpoint means to the program that waits for it; `None` when the exchange
/// may succeed if it is tried again.
pub(crate) fn of_status(status: StatusCode) -> Option<Errno> {
    match status {
        StatusCode::INSUFFICIENT_STORAGE => Some(Errno::ENOSPC),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Errno::EFBIG),
        StatusCode::FORBIDDEN => Some(Errno::EROFS),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => None,
        // The session may be between two owners; if it is over, the fence says so.
        StatusCode::UNAUTHORIZED => None,
        _ if status.is_server_error() => None,
        _ => Some(Errno::EIO),
    }
}

/// Whether a path of a mount point answered that its agent is gone.
pub(crate) fn is_dead_mount(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::ECONNABORTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_reach_the_kernel_unchanged() {
        for errno in [Errno::EACCES, Errno::EIO, Errno::ENOSPC, Errno::ESTALE] {
            assert_eq!(i32::from(to_kernel(errno)), errno.number());
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, errno) in [(503, None), (500, None), (429, None), (401, None), (404, Some(Errno::EIO)), (507, Some(Errno::ENOSPC))] {
            assert_eq!(StatusCode::from_u16(status).ok().and_then(of_status), errno, "{status}");
        }
    }
}
