/// Keeps the memory of a process that serves mounts in proportion: its threads pass large buffers to each other, and
/// glibc would keep a pool of freed ones for each thread, several times of what is in use.
#[allow(unsafe_code, reason = "the allocator's settings have no safe wrapper")]
pub(crate) fn share_pools() {
    // SAFETY: mallopt may be called at any time from any thread; it changes how later allocations are pooled.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
