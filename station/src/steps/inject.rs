//! Inject: cloud key, cloud address and credentials go to flash as one record.

use keyline_protocol::identity::Digest;
use keyline_protocol::message::RecordSummary;
use keyline_protocol::record::{self, CREDENTIALS_LENGTH_MAX};
use zeroize::Zeroizing;

use super::bench::WithKey;
use super::{CredentialsSource, Failed, StepError};
use crate::link::Target;
use crate::record::Evidence;

/// The commitment of a record without credentials.
const NO_CREDENTIALS: Digest = [0; 32];

/// The claim is entered in the registry, or the unit goes on as held.
pub struct Claimed<'p>(pub(super) WithKey<'p>);

/// The identity record is committed in flash.
pub struct Injected<'p> {
    pub(super) unit: WithKey<'p>,
    pub(super) record: RecordSummary,
}

impl<'p> Claimed<'p> {
    /// Writes the identity record, unless flash already has exactly it. Where the product has credentials they travel in a session
    /// that the unit's key has signed, and the record is always written: nobody but the unit can tell whether they are the same.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn inject(self) -> Result<(Injected<'p>, Evidence), Failed> {
        let mut unit = self.0;
        match inject(&mut unit) {
            Ok((record, already)) => {
                let evidence = Evidence::Injected {
                    sequence: record.sequence,
                    record_digest: record.digest,
                    credentials_commitment: record.credentials_commitment,
                    already,
                };
                Ok((Injected { unit, record }, evidence))
            }
            Err(error) => Err(unit.known.bench.fail(error)),
        }
    }

    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.0.known.bench.release()
    }
}

fn inject(unit: &mut WithKey<'_>) -> Result<(RecordSummary, bool), StepError> {
    let plan = unit.known.bench.plan;
    let identity = unit.known.identity;
    let credentials = read_credentials(plan.credentials)?;
    let content = plan.record(credentials.as_ref().map(|bytes| bytes.as_slice()));
    if let (None, Some(present)) = (&credentials, identity.record)
        && present.digest == record::digest(&content, present.sequence, &NO_CREDENTIALS)
    {
        return Ok((present, true));
    }
    let conversation = &mut unit.known.bench.conversation;
    if credentials.is_some() {
        if identity.signs & (1 << unit.key.algorithm.code()) == 0 {
            return Err(StepError::SessionUnsignable {
                algorithm: unit.key.algorithm,
            });
        }
        if conversation.session_hash().is_none() {
            conversation.open_session(identity.device_id)?;
        }
        conversation.authenticate_session(unit.key.algorithm, &unit.key.spki)?;
    }
    let written = conversation.inject(content)?;
    if credentials.is_none() && written.credentials_commitment != NO_CREDENTIALS {
        return Err(StepError::RecordMismatch {
            expected: NO_CREDENTIALS,
            got: written.credentials_commitment,
        });
    }
    let expected = record::digest(&content, written.sequence, &written.credentials_commitment);
    if written.digest != expected {
        return Err(StepError::RecordMismatch {
            expected,
            got: written.digest,
        });
    }
    Ok((written, false))
}

fn read_credentials(
    source: Option<&dyn CredentialsSource>,
) -> Result<Option<Zeroizing<Vec<u8>>>, StepError> {
    let Some(source) = source else {
        return Ok(None);
    };
    let credentials = source
        .read()
        .map_err(|source| StepError::CredentialsUnreadable { source })?;
    if (1..=CREDENTIALS_LENGTH_MAX).contains(&credentials.len()) {
        Ok(Some(credentials))
    } else {
        Err(StepError::CredentialsLength {
            got: credentials.len(),
        })
    }
}

impl Injected<'_> {
    /// Lets the unit go, as it is.
    #[must_use]
    pub fn release(self) -> Box<dyn Target> {
        self.unit.known.bench.release()
    }
}
