use super::mesh::Mesh;
use super::traffic::Traffic;

/// What members of meshes cost, all together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    members: u64,
    /// Members times microseconds of simulated time.
    member_us: u64,
    sent: Traffic,
    cpu_us: u64,
}

impl Cost {
    /// Of the members of a mesh, over a time in which all of them together took so much of a processor.
    pub(super) fn of<T>(mesh: &Mesh<T>, lasted_us: u64, cpu_us: u64) -> Self {
        let members = mesh.len() as u64;
        Self { members, member_us: members * lasted_us, sent: mesh.sent(), cpu_us }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.members += other.members;
        self.member_us += other.member_us;
        self.sent.add(other.sent);
        self.cpu_us += other.cpu_us;
    }

    /// How many members there are.
    pub fn members(&self) -> u64 {
        self.members
    }

    /// How many datagrams one sends in a second; it receives as many, but for those that are lost.
    pub fn datagrams_per_second(&self) -> f64 {
        self.per_second(self.sent.datagrams)
    }

    /// How many bytes one sends in a second, sealed, without headers of IP and UDP.
    pub fn bytes_per_second(&self) -> f64 {
        self.per_second(self.sent.bytes)
    }

    /// The longest datagram, in bytes.
    pub fn longest_bytes(&self) -> u64 {
        self.sent.longest_bytes
    }

    /// How much of one core a member takes, of this machine: 0.01 is a hundredth.
    pub fn cores(&self) -> f64 {
        self.cpu_us as f64 / (self.member_us.max(1) as f64)
    }

    /// What does not differ from run to run.
    #[cfg(test)]
    pub(super) fn sent(&self) -> Traffic {
        self.sent
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 * 1e6 / (self.member_us.max(1) as f64)
    }
}

/// How much of a processor this thread has taken.
pub(super) fn thread_cpu_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}

/// How much memory this process has taken at most (`VmHWM` of proc(5)); nothing where the system does not say.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1_024)
}
