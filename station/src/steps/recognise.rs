//! Recognise: a unit that is finished, sealed or locked comes back and proves that it is the one that the registry knows.

use keyline_protocol::identity::fingerprint;
use keyline_protocol::record;

use super::bench::WithKey;
use super::identify::Identified;
use super::prove::{Proven, prove};
use super::{Failed, StepError};
use crate::record::Evidence;
use crate::session::DevicePublicKey;

impl<'p> Identified<'p> {
    /// Resets the unit and has it prove itself with the key that the registry or the journal has for its device id, without writing
    /// anything. What comes is a fresh [`Proven`]: the line compares it with the pin, and may go on to seal and lock.
    ///
    /// # Errors
    /// [`Failed`]: [`StepError::KeyChanged`] where the unit shows another key, [`StepError::SealedAsAnother`] where it was built as
    /// something else, [`StepError::ProofInvalid`] where it can't prove itself.
    pub fn recognise(
        self,
        public_key: &[u8],
        checkpoint: impl FnOnce() -> String,
    ) -> Result<(Proven<'p>, Evidence), Failed> {
        let known = self.0;
        let Some(present) = known.identity.key else {
            return Err(known.bench.fail(StepError::KeyMissing));
        };
        let expected = fingerprint(public_key);
        if present.fingerprint != expected {
            return Err(known.bench.fail(StepError::KeyChanged {
                expected,
                got: present.fingerprint,
            }));
        }
        if let Some(record) = known.identity.record {
            let plan = known.bench.plan;
            let commitment = &record.credentials_commitment;
            let expected = record::digest(&plan.record(None), record.sequence, commitment);
            if record.digest != expected {
                return Err(known.bench.fail(StepError::SealedAsAnother {
                    expected,
                    got: record.digest,
                }));
            }
        }
        let key = DevicePublicKey {
            algorithm: present.algorithm,
            made: present.made,
            spki: public_key.to_vec(),
        };
        let unit = WithKey {
            known,
            key,
            proven: None,
        };
        prove(unit, None, checkpoint)
    }
}
