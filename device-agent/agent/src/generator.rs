//! Random bytes: the chip's generator, health-tested (NIST SP 800-90B, 4.4) and conditioned.
//!
//! **Assumption.** A raw sample, one byte, has at least 4 bits of min-entropy: half of what an unbiased byte has, because the chip's own
//! bias correction is off. **Cutoffs** for a false alarm in 2^40, so that a million units see none:
//! - repetition count, 4.4.1: 1 + ⌈40 / 4⌉ = 11 equal samples in a row;
//! - adaptive proportion, 4.4.2: 1 + CRITBINOM(512, 2^−4, 1 − 2^−40) = 78 samples in a window of 512 that equal its first.
//!
//! Both tests see every sample. 1,024 samples are tested and thrown away before the first bytes are drawn after a reset or after a
//! failure (4.3, requirement 10).
//!
//! **Conditioning.** HKDF-SHA-256 of 96 raw samples, 384 bits by the assumption, where a 256-bit output of full entropy needs 320
//! (SP 800-90C). The salt is the station's entropy, the info names the purpose and the device id. A station that lies can't predict the
//! output without the samples, and a broken generator that passes its tests is still mixed with the station's entropy.

use hkdf::Hkdf;
use keyline_protocol::identity::DeviceId;
use keyline_protocol::message::{HealthTest, Refusal};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::hal::Hal;
use crate::p256::SecretScalar;

/// Samples that are tested before the first are used.
pub const START_UP_SAMPLES: u32 = 1_024;

/// Equal samples in a row that fail the repetition count test.
const REPETITION_CUTOFF: u8 = 11;

/// Samples in a window of the adaptive proportion test.
const WINDOW: u16 = 512;

/// Samples in a window, equal to its first, that fail the adaptive proportion test.
const PROPORTION_CUTOFF: u16 = 78;

/// Raw samples that make 32 bytes.
const RAW_LENGTH: usize = 96;

/// How often a scalar is drawn before the generator is taken for broken: one in 2^32 is out of range.
const SCALAR_ATTEMPTS: usize = 4;

/// What a draw is for; the purposes never share an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The device's private key.
    DeviceKey,
    /// The unit's ephemeral key of a session.
    SessionKey,
    /// The salt of the network credentials.
    CredentialsSalt,
    /// A nonce for the product authority.
    AuthorityNonce,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::DeviceKey => b"keyline/device-key/v1",
            Self::SessionKey => b"keyline/session-ephemeral/v1",
            Self::CredentialsSalt => b"keyline/credentials-salt/v1",
            Self::AuthorityNonce => b"keyline/authority-nonce/v1",
        }
    }
}

/// The state of the health tests.
#[derive(Default)]
pub(crate) struct Generator {
    started: bool,
    repeated: u8,
    previous: u8,
    window_first: u8,
    window_seen: u16,
    window_equal: u16,
}

impl Generator {
    /// Whether the next draw begins with the start-up samples.
    pub(crate) const fn needs_start_up(&self) -> bool {
        !self.started
    }

    /// 32 conditioned bytes.
    ///
    /// # Errors
    /// [`Refusal::GeneratorUnhealthy`]; the start-up samples are then taken again before anything is drawn.
    pub(crate) fn draw(
        &mut self,
        hal: &mut impl Hal,
        purpose: Purpose,
        device_id: DeviceId,
        station_entropy: &[u8; 32],
    ) -> Result<Zeroizing<[u8; 32]>, Refusal> {
        self.samples(hal)
            .map_err(|test| {
                *self = Self::default();
                Refusal::GeneratorUnhealthy(test)
            })
            .map(|raw| {
                let mut drawn = Zeroizing::new([0; 32]);
                let expanded = Hkdf::<Sha256>::new(Some(station_entropy), &*raw)
                    .expand_multi_info(&[purpose.label(), &[0], device_id.as_bytes()], &mut *drawn);
                debug_assert!(
                    expanded.is_ok(),
                    "32 bytes are within what HKDF gives (RFC 5869, 2.3)"
                );
                drawn
            })
    }

    /// A private key, uniform over all there are.
    ///
    /// # Errors
    /// As [`Generator::draw`].
    pub(crate) fn draw_scalar(
        &mut self,
        hal: &mut impl Hal,
        purpose: Purpose,
        device_id: DeviceId,
        station_entropy: &[u8; 32],
    ) -> Result<(SecretScalar, Zeroizing<[u8; 32]>), Refusal> {
        for _ in 0..SCALAR_ATTEMPTS {
            let bytes = self.draw(hal, purpose, device_id, station_entropy)?;
            if let Some(scalar) = SecretScalar::from_bytes(&bytes) {
                return Ok((scalar, bytes));
            }
        }
        Err(Refusal::GeneratorUnhealthy(HealthTest::RepetitionCount))
    }

    fn samples(&mut self, hal: &mut impl Hal) -> Result<Zeroizing<[u8; RAW_LENGTH]>, HealthTest> {
        if !self.started {
            *self = Self::default();
            for _ in 0..START_UP_SAMPLES {
                self.sample(hal)?;
            }
            self.started = true;
        }
        let mut raw = Zeroizing::new([0; RAW_LENGTH]);
        for byte in raw.iter_mut() {
            *byte = self.sample(hal)?;
        }
        Ok(raw)
    }

    /// One raw sample that passed both tests.
    fn sample(&mut self, hal: &mut impl Hal) -> Result<u8, HealthTest> {
        let sample = hal.random_byte().ok_or(HealthTest::Stalled)?;
        self.test(sample)?;
        Ok(sample)
    }

    /// Shows one sample to both tests.
    fn test(&mut self, sample: u8) -> Result<(), HealthTest> {
        if self.repeated > 0 && sample == self.previous {
            self.repeated += 1;
            if self.repeated >= REPETITION_CUTOFF {
                return Err(HealthTest::RepetitionCount);
            }
        } else {
            self.previous = sample;
            self.repeated = 1;
        }
        if self.window_seen == 0 {
            self.window_first = sample;
            self.window_equal = 0;
        }
        self.window_equal += u16::from(sample == self.window_first);
        if self.window_equal >= PROPORTION_CUTOFF {
            return Err(HealthTest::AdaptiveProportion);
        }
        self.window_seen = (self.window_seen + 1) % WINDOW;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// How many of `samples` pass before a test fails, and which one fails.
    fn passes(samples: impl IntoIterator<Item = u8>) -> (usize, Option<HealthTest>) {
        let mut generator = Generator::default();
        let mut passed = 0;
        for sample in samples {
            if let Err(test) = generator.test(sample) {
                return (passed, Some(test));
            }
            passed += 1;
        }
        (passed, None)
    }

    #[test]
    fn ten_equal_samples_pass_and_eleven_do_not() {
        assert_eq!(passes([7; 10]), (10, None));
        assert_eq!(passes([7; 11]), (10, Some(HealthTest::RepetitionCount)));
        let interrupted = [[7; 10], [8; 10], [7; 10]];
        assert_eq!(passes(interrupted.into_iter().flatten()), (30, None));
    }

    #[test]
    fn a_window_holds_its_first_sample_77_times_and_not_78() {
        // The first sample and others that are never it, in turn.
        let mixed = |equal| {
            (0_u16..512).map(move |at| {
                if at % 2 == 0 && at / 2 < equal {
                    7
                } else {
                    9 + (at % 2) as u8
                }
            })
        };
        assert_eq!(passes(mixed(77)), (512, None));
        assert_eq!(
            passes(mixed(78)),
            (154, Some(HealthTest::AdaptiveProportion))
        );
        // Each window counts for itself.
        assert_eq!(passes(mixed(77).chain(mixed(77))), (1_024, None));
    }

    #[test]
    fn the_cutoffs_are_those_of_four_bits_and_one_alarm_in_2_to_the_40() {
        let alarm = 2_f64.powi(-40);
        // 4.4.1: the chance of so many equal samples after the first.
        let repeated = |count: u8| 2_f64.powi(-4 * i32::from(count - 1));
        assert!(repeated(REPETITION_CUTOFF) <= alarm);
        assert!(repeated(REPETITION_CUTOFF - 1) > alarm);

        // 4.4.2: 1 + the least c for which at most c of 512 samples are the first one with probability 1 - 2^-40.
        let exactly = |count: u16| {
            let choices = (0..count).fold(1.0, |product, taken| {
                product * f64::from(WINDOW - taken) / f64::from(taken + 1)
            });
            choices
                * 16_f64.powi(-i32::from(count))
                * (15.0 / 16.0_f64).powi(i32::from(WINDOW - count))
        };
        let above = |count: u16| (count + 1..=WINDOW).map(exactly).sum::<f64>();
        let critical = (0..WINDOW).find(|count| above(*count) <= alarm);
        assert_eq!(critical.map(|count| count + 1), Some(PROPORTION_CUTOFF));
    }
}
