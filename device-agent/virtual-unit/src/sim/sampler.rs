//! The simulated hardware generator, and how it can fail.

/// How the hardware generator fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GeneratorFault {
    /// It does not.
    #[default]
    None,
    /// It gives this byte for ever.
    Stuck(u8),
    /// It gives this many good samples, then the last one for ever.
    StuckAfter(u32),
    /// It gives nothing.
    Stalled,
    /// Every third sample or so is the same byte, never many in a row: only the adaptive proportion test can see it.
    Biased,
}

/// A stream of samples from a seed: `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(crate) struct Sampler {
    state: u64,
    taken: u32,
    previous: u8,
}

impl Sampler {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            taken: 0,
            previous: 0,
        }
    }

    /// The next 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One sample of a generator with `fault`; `None` when it gave none.
    pub(crate) const fn sample(&mut self, fault: GeneratorFault) -> Option<u8> {
        let [good, choice, ..] = self.next().to_le_bytes();
        let sample = match fault {
            GeneratorFault::Stuck(value) => value,
            GeneratorFault::StuckAfter(samples) if self.taken >= samples => self.previous,
            GeneratorFault::Stalled => return None,
            GeneratorFault::Biased if self.taken.is_multiple_of(3) || choice < 32 => 0xa5,
            GeneratorFault::None | GeneratorFault::StuckAfter(_) | GeneratorFault::Biased => good,
        };
        self.taken = self.taken.saturating_add(1);
        self.previous = sample;
        Some(sample)
    }
}
