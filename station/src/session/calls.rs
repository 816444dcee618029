//! One function a request.

use keyline_protocol::identity::{Algorithm, Digest, Id, KeyPolicy};
use keyline_protocol::message::{
    Authenticator, Identity, KEY_CHUNK_LENGTH_MAX, RecordSummary, Refusal, Request, Response,
};
use keyline_protocol::record::RecordContent;

use super::{Conversation, SessionError, names};

/// A unit's public key, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePublicKey {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// How the unit says that it was made.
    pub made: KeyPolicy,
    /// SPKI DER.
    pub spki: Vec<u8>,
}

/// A unit's answer to a challenge after a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitProof {
    /// The record that it read.
    pub record: RecordSummary,
    /// SHA-256 of its agent's image, as it says.
    pub agent_digest: Digest,
    /// What it authenticates itself with.
    pub authenticator: UnitAuthenticator,
}

/// What a proof is authenticated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitAuthenticator {
    /// A signature by the device key.
    Signature(Vec<u8>),
    /// A MAC under the open session.
    Mac([u8; 32]),
}

impl Conversation {
    /// Asks the unit who it is.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn identify(&mut self) -> Result<Identity, SessionError> {
        match self.ask(&Request::Identify)? {
            Response::Identity(identity) => Ok(identity),
            other => Err(unexpected("Identify", "Identity", &other)),
        }
    }

    /// Asks for the unit's public key.
    ///
    /// # Errors
    /// [`SessionError`]; [`Refusal::NoKey`](keyline_protocol::message::Refusal) where there is none.
    pub fn public_key(&mut self) -> Result<DevicePublicKey, SessionError> {
        public_key("PublicKey", &self.ask(&Request::PublicKey)?)
    }

    /// Has the unit draw a key pair; asking again gives the same one.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn generate_key(
        &mut self,
        algorithm: Algorithm,
        station_entropy: [u8; 32],
    ) -> Result<DevicePublicKey, SessionError> {
        let request = Request::GenerateKey {
            algorithm,
            station_entropy,
        };
        public_key("GenerateKey", &self.ask(&request)?)
    }

    /// Sends a private key over the open session, in chunks, and has the unit commit it.
    ///
    /// # Errors
    /// [`SessionError`]; without an open session nothing is sent.
    pub fn import_key(
        &mut self,
        algorithm: Algorithm,
        private: &[u8],
        fingerprint: Digest,
    ) -> Result<DevicePublicKey, SessionError> {
        let too_long = |_| SessionError::TooLong {
            call: "ImportKey",
            source: keyline_protocol::frame::MessageFault::TooLong,
        };
        let length = u16::try_from(private.len()).map_err(too_long)?;
        let mut offset = 0;
        for bytes in private.chunks(KEY_CHUNK_LENGTH_MAX) {
            let request = Request::ImportKey {
                algorithm,
                length,
                offset,
                bytes,
            };
            done("ImportKey", &self.ask_sealed(&request)?)?;
            offset += u16::try_from(bytes.len()).map_err(too_long)?;
        }
        public_key(
            "CommitKey",
            &self.ask_sealed(&Request::CommitKey { fingerprint })?,
        )
    }

    /// Has the unit sign a claim over this challenge.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn prove_possession(&mut self, challenge: [u8; 32]) -> Result<Vec<u8>, SessionError> {
        match self.ask(&Request::ProvePossession { challenge })? {
            Response::Signature { signature } => Ok(signature.to_vec()),
            other => Err(unexpected("ProvePossession", "Signature", &other)),
        }
    }

    /// Has the unit write its identity record: in the session where one is open, in the clear else.
    ///
    /// # Errors
    /// [`SessionError`]; [`SessionError::NoSession`] where there are credentials and no session: they are then not sent.
    pub fn inject(&mut self, content: RecordContent<'_>) -> Result<RecordSummary, SessionError> {
        const CALL: &str = "Inject";
        let request = Request::Inject { content };
        let answer = if self.is_authenticated() {
            self.ask_sealed(&request)?
        } else if content.credentials.is_some() {
            return Err(SessionError::NoSession { call: CALL });
        } else {
            self.ask(&request)?
        };
        match answer {
            Response::Injected(summary) => Ok(summary),
            other => Err(unexpected(CALL, "Injected", &other)),
        }
    }

    /// Has the unit read its record and prove itself: in the session where one is open, in the clear else.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn prove(
        &mut self,
        nonce: [u8; 32],
        station: Id,
        order: Id,
        run: Id,
    ) -> Result<UnitProof, SessionError> {
        let request = Request::Prove {
            nonce,
            station,
            order,
            run,
        };
        let answer = if self.secure.is_some() {
            self.ask_sealed(&request)?
        } else {
            self.ask(&request)?
        };
        match answer {
            Response::Proof {
                record,
                agent_digest,
                authenticator,
            } => Ok(UnitProof {
                record,
                agent_digest,
                authenticator: match authenticator {
                    Authenticator::Signature(signature) => {
                        UnitAuthenticator::Signature(signature.to_vec())
                    }
                    Authenticator::Mac(mac) => UnitAuthenticator::Mac(mac),
                },
            }),
            other => Err(unexpected("Prove", "Proof", &other)),
        }
    }

    /// Seals the agent.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn seal(&mut self) -> Result<(), SessionError> {
        done("Seal", &self.ask(&Request::Seal)?)
    }

    /// Sets the chip's read-back protection, which holds from the next reset.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn lock(&mut self) -> Result<(), SessionError> {
        done("Lock", &self.ask(&Request::Lock)?)
    }

    /// Erases key, record and seal. A sealed unit refuses.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn erase_identity(&mut self) -> Result<(), SessionError> {
        done("EraseIdentity", &self.ask(&Request::EraseIdentity)?)
    }

    /// Has the agent reset its chip; what follows must be [`Conversation::hello`] or the end.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn ask_for_reset(&mut self) -> Result<(), SessionError> {
        match self.ask(&Request::Reset) {
            // The answer was lost, and the request came a second time to an agent that has just begun: it has reset.
            Err(SessionError::Refused {
                refusal: Refusal::NoHello,
                ..
            }) => Ok(()),
            answer => done("Reset", &answer?),
        }
    }
}

fn public_key(call: &'static str, answer: &Response<'_>) -> Result<DevicePublicKey, SessionError> {
    match *answer {
        Response::PublicKey {
            algorithm,
            made,
            spki,
        } => Ok(DevicePublicKey {
            algorithm,
            made,
            spki: spki.to_vec(),
        }),
        ref other => Err(unexpected(call, "PublicKey", other)),
    }
}

fn done(call: &'static str, answer: &Response<'_>) -> Result<(), SessionError> {
    match answer {
        Response::Done => Ok(()),
        other => Err(unexpected(call, "Done", other)),
    }
}

pub(super) fn unexpected(
    call: &'static str,
    expected: &'static str,
    got: &Response<'_>,
) -> SessionError {
    SessionError::UnexpectedAnswer {
        call,
        expected,
        got: names::answer(got),
    }
}
