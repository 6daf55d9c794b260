#![allow(
    unsafe_code,
    reason = "ppoll(2), setns(2) and the ioctl(2) that makes a TAP device have no safe form; the whole of them is kept in this module"
)]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, bail, ensure};

use crate::time::{Duration, monotonic_ns};

/// Longer than any frame of the interfaces here.
const FRAME_MAX_BYTES: usize = 64 << 10;
/// How often a wire looks whether it has been taken away.
const LOOK: Duration = Duration::from_millis(50);
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const ETHERTYPE_IPV4: [u8; 2] = [8, 0];
const PROTOCOL_UDP: u8 = 17;

/// What happens to what is sent over a [`Wire`], in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// How long it takes.
    pub delay: Duration,
    /// How many datagrams of a hundred are lost, of UDP and of whatever else comes as IP.
    pub loses: u32,
    /// Only those of UDP are.
    pub only_udp: bool,
}

/// A long and bad cable between a machine and the switch: the kernel here has no queues that delay and lose, so frames are carried
/// across by threads.
#[derive(Debug)]
pub struct Wire {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    weather: Mutex<Weather>,
    random: AtomicU64,
    over: AtomicBool,
}

impl Wire {
    /// Makes an interface in each of two namespaces, given as paths, with a wire between them.
    pub(crate) fn lay(one: (PathBuf, String), other: (PathBuf, String)) -> Result<Self> {
        // A thread that changes its namespace is good for nothing else.
        let making = std::thread::spawn(move || -> Result<(File, File)> { Ok((tap(&one.0, &one.1)?, tap(&other.0, &other.1)?)) });
        let (one, other) = making.join().map_err(|_| anyhow::anyhow!("the making of a wire panicked"))??;
        let shared = Arc::new(Shared { random: AtomicU64::new(monotonic_ns() | 1), ..Shared::default() });
        let pairs = [(one.try_clone()?, other.try_clone()?), (other, one)];
        let carry = |(from, to)| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.carry(&from, &to))
        };
        Ok(Self { threads: pairs.into_iter().map(carry).collect(), shared })
    }

    /// From now on the weather is like this.
    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // It ends within a look; its namespace can go then.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Carries frames across in one direction until the wire is taken away.
    fn carry(&self, mut from: &File, mut to: &File) {
        let mut buffer = vec![0; FRAME_MAX_BYTES];
        let mut under_way: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        while !self.over.load(Ordering::SeqCst) {
            let now_ns = monotonic_ns();
            while under_way.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
                if let Some((_, frame)) = under_way.pop_front() {
                    // The other side may be down.
                    let _ = to.write_all(&frame);
                }
            }
            let wait_ns = under_way.front().map_or(LOOK.as_nanos() as u64, |(due_ns, _)| due_ns.saturating_sub(now_ns));
            if !is_readable(from, wait_ns.min(LOOK.as_nanos() as u64)) {
                continue;
            }
            match from.read(&mut buffer) {
                Ok(length) => {
                    let weather = *self.weather.lock().unwrap_or_else(PoisonError::into_inner);
                    if !self.is_lost(weather, &buffer[..length]) {
                        under_way.push_back((monotonic_ns() + weather.delay.as_nanos() as u64, buffer[..length].to_vec()));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    fn is_lost(&self, weather: Weather, frame: &[u8]) -> bool {
        let is_ip = frame.get(12..14) == Some(&ETHERTYPE_IPV4);
        let is_udp = is_ip && frame.get(23) == Some(&PROTOCOL_UDP);
        let is_at_risk = if weather.only_udp { is_udp } else { is_ip };
        is_at_risk && self.draw() % 100 < u64::from(weather.loses)
    }

    /// A number from xorshift64*; both directions draw from it.
    fn draw(&self) -> u64 {
        let mut x = self.random.load(Ordering::Relaxed);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.store(x, Ordering::Relaxed);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

/// Waits at most so long until something can be read.
fn is_readable(file: &File, wait_ns: u64) -> bool {
    let mut wanted = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: wait_ns as libc::c_long };
    // SAFETY: one pollfd and one timespec, both of which outlive the call.
    unsafe { libc::ppoll(&raw mut wanted, 1, &raw const timeout, std::ptr::null()) == 1 }
}

/// Makes a TAP device of this name in a namespace, into which this thread goes for that.
fn tap(namespace: &Path, name: &str) -> Result<File> {
    let handle = File::open(namespace).with_context(|| namespace.display().to_string())?;
    // SAFETY: the descriptor is open, and only this thread is moved.
    let moved = unsafe { libc::setns(handle.as_raw_fd(), libc::CLONE_NEWNET) };
    ensure!(moved == 0, "setns: {}", std::io::Error::last_os_error());
    let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun").context("/dev/net/tun")?;
    // SAFETY: all of `ifreq` may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        bail!("the name of an interface is too long: {name}");
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: `request` is a whole ifreq that outlives the call, as TUNSETIFF wants it.
    let made = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF as _, &raw mut request) };
    ensure!(made == 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    Ok(file)
}
