/// The monotonic clock of one process (CLOCK_BOOTTIME): where it stood at the beginning, and how fast it goes. It goes on while the process
/// or its machine stands still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    offset_us: u64,
    /// Against real time, in parts of a million.
    rate_ppm: u64,
}

impl Clock {
    /// One that is off by this much, and whose rate is `rate_ppm` parts of a million of the real one.
    pub(crate) const fn new(offset_us: u64, rate_ppm: u64) -> Self {
        Self { offset_us, rate_ppm }
    }

    /// What it shows, in microseconds.
    pub(crate) const fn us(self, real_us: u64) -> u64 {
        self.offset_us + real_us / 1_000_000 * self.rate_ppm + real_us % 1_000_000 * self.rate_ppm / 1_000_000
    }

    /// What it shows, in milliseconds.
    pub(crate) const fn ms(self, real_us: u64) -> u64 {
        self.us(real_us) / 1_000
    }
}
