use crate::Random;

/// Between two machines of a region, one way, and by how much it varies.
const NEAR_US: (u64, u64) = (300, 700);
/// Between two regions.
const FAR_US: (u64, u64) = (100_000, 3_000);
/// The shortest time after which TCP sends a segment again, besides the round trip (Linux, TCP_RTO_MIN). It doubles each time
/// (RFC 6298). Tail loss probes would be sooner; they are left out.
const RTO_MIN_US: u64 = 200_000;
const RTO_MAX_US: u64 = 120_000_000;

/// How the network carries what is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    loss_ppm: u64,
}

impl Weather {
    pub(super) fn new(loss_ppm: u32) -> Self {
        Self { loss_ppm: u64::from(loss_ppm) }
    }

    /// Whether a datagram is lost.
    pub(super) fn loses(self, random: &mut Random) -> bool {
        random.below(1_000_000) < self.loss_ppm
    }

    /// How long a datagram takes from one region to another.
    pub(super) fn datagram_us(from: usize, to: usize, random: &mut Random) -> u64 {
        let (least, varies) = if from == to { NEAR_US } else { FAR_US };
        least + random.below(varies)
    }

    /// How long what is written to an idle stream takes to arrive: every segment that is lost is sent again.
    pub(super) fn stream_us(self, from: usize, to: usize, random: &mut Random) -> u64 {
        let one_way_us = Self::datagram_us(from, to, random);
        let (mut delay_us, mut rto_us) = (one_way_us, RTO_MIN_US + 2 * one_way_us);
        while self.loses(random) {
            delay_us += rto_us;
            rto_us = (2 * rto_us).min(RTO_MAX_US);
        }
        delay_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_lost_as_often_as_was_asked_and_streams_lose_nothing_but_time() {
        let (weather, mut random) = (Weather::new(100_000), Random::new(1));
        let lost = (0..20_000).filter(|_| weather.loses(&mut random)).count();
        assert!((1_800..2_200).contains(&lost), "{lost}");
        let delays: Vec<_> = (0..20_000).map(|_| weather.stream_us(0, 0, &mut random)).collect();
        let late = |us: u64| delays.iter().filter(|delay| **delay >= us).count();
        assert!((1_800..2_200).contains(&late(RTO_MIN_US)), "{}", late(RTO_MIN_US));
        assert!((140..260).contains(&late(3 * RTO_MIN_US)), "{}", late(3 * RTO_MIN_US));
        assert!((0..100).all(|_| Weather::new(0).stream_us(0, 1, &mut random) < FAR_US.0 + FAR_US.1));
    }
}
