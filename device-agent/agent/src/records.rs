//! The identity record: written, and proven after a reset.

use keyline_protocol::identity;
use keyline_protocol::identity::Id;
use keyline_protocol::message::{Authenticator, RecordFault, Refusal, Response};
use keyline_protocol::record::RecordContent;
use keyline_protocol::session::Session;
use keyline_protocol::transcript::ProofTranscript;
use zeroize::Zeroizing;

use crate::generator::Purpose;
use crate::hal::{Hal, Work};
use crate::record_store;
use crate::unit::{Channel, Unit};

/// What a station puts into a proof.
#[derive(Clone, Copy)]
pub(crate) struct Demand<'a> {
    /// Drawn after the reset.
    pub(crate) nonce: &'a [u8; 32],
    /// The station that asks.
    pub(crate) station: &'a Id,
    /// The work order of the run.
    pub(crate) order: &'a Id,
    /// The run.
    pub(crate) run: &'a Id,
}

impl<H: Hal> Unit<H> {
    /// Answers `Inject`.
    pub(crate) fn inject(
        &mut self,
        channel: Channel,
        content: &RecordContent<'_>,
        body: &mut [u8],
    ) -> Result<Response<'static>, Refusal> {
        if content.credentials.is_some() {
            self.require_authenticated(channel)?;
        }
        record_store::check(content)?;
        if !content.key_policy.accepts(self.key()?.made) {
            return Err(Refusal::InvalidRecord(RecordFault::KeyPolicy));
        }
        // A record is stale pages erased, perhaps twice over, and a few hundred words.
        self.announce([Work::ErasePage; 4]);
        let salt = match content.credentials {
            Some(_) => {
                let device_id = self.device_id();
                let purpose = Purpose::CredentialsSalt;
                self.generator
                    .draw(&mut self.hal, purpose, device_id, &[0; 32])?
            }
            None => Zeroizing::new([0; 32]),
        };
        record_store::write(&mut self.hal, content, &salt, body).map(Response::Injected)
    }

    /// Credentials come only where the device key has signed the session that they travel in.
    fn require_authenticated(&self, channel: Channel) -> Result<(), Refusal> {
        match &self.session {
            Some(session) if channel == Channel::Session => {
                if session.authenticated {
                    Ok(())
                } else {
                    Err(Refusal::AuthenticationRequired)
                }
            }
            _ => Err(Refusal::SessionRequired),
        }
    }

    /// Answers `Prove`: everything in the proof is read from flash here and now.
    pub(crate) fn prove<'b>(
        &mut self,
        channel: Channel,
        demand: Demand<'_>,
        bytes: &'b mut [u8],
        body: &mut [u8],
    ) -> Result<Response<'b>, Refusal> {
        let version = self.version.ok_or(Refusal::NoHello)?;
        let key = self.key()?;
        let signs = self.signs(key.algorithm);
        if !signs && channel != Channel::Session {
            return Err(Refusal::SessionRequired);
        }
        let agent_digest = self.image_digest();
        let record = record_store::find(&self.hal, body).ok_or(Refusal::NoRecord)?;
        let content = record.content;
        let cloud_key_fingerprint = identity::fingerprint(content.cloud_key);
        let digest = ProofTranscript {
            version,
            algorithm: key.algorithm,
            made: key.made,
            key_policy: content.key_policy,
            nonce: demand.nonce,
            device_id: self.device_id(),
            platform: self.hal.platform(),
            product: &content.product,
            order: demand.order,
            run: demand.run,
            public_key: key.public(&self.hal, bytes),
            cloud_key_fingerprint: &cloud_key_fingerprint,
            cloud_address: content.cloud_address,
            record_sequence: record.summary.sequence,
            record_digest: &record.summary.digest,
            agent_digest: &agent_digest,
            lock_policy: content.lock_policy,
            session_hash: self.session.as_ref().map(Session::hash),
            station: demand.station,
        }
        .digest();
        let summary = record.summary;
        let authenticator = match &self.session {
            Some(session) if !signs => Authenticator::Mac(session.mac(&digest)),
            _ => Authenticator::Signature(self.sign(key, &digest, bytes)?),
        };
        Ok(Response::Proof {
            record: summary,
            agent_digest,
            authenticator,
        })
    }
}
