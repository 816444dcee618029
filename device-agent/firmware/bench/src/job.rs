//! A whole job, every answer checked: what a station does with a bare unit.

use std::time::Duration;

use keyline_protocol::identity::{Algorithm, DeviceId, Digest, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::{Authenticator, Identity, Point, RecordSummary, Request, Response};
use keyline_protocol::record::{self, RecordContent};
use keyline_protocol::transcript::{ClaimTranscript, ProofTranscript};
use keyline_protocol::{identity, spki, version};
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::sec1::ToSec1Point;

use crate::BenchError;
use crate::link::Link;
use crate::station::Station;

/// A key of the bench, for the cloud, the authority and the session alike: it protects nothing.
const BENCH_KEY: [u8; 32] = [7; 32];

/// Where the record sends the device.
pub const CLOUD_ADDRESS: &str = "cloud.example:8883";

/// What the record holds for the network.
pub const CREDENTIALS: &[u8] = b"bench network, bench password";

/// Long enough for an emulated chip to start again.
const BOOT: Duration = Duration::from_millis(200);

/// Told before and after each request.
pub trait Watch {
    /// `request` is about to be sent.
    fn before(&mut self, request: &'static str);

    /// It was answered; the agent had announced `busy_ms`.
    fn after(&mut self, request: &'static str, busy_ms: u32);
}

/// Watches nothing.
pub struct NoWatch;

impl Watch for NoWatch {
    fn before(&mut self, _: &'static str) {}
    fn after(&mut self, _: &'static str, _: u32) {}
}

/// A job on one unit.
pub struct Job<'w, L, W> {
    pub(crate) station: Station<L>,
    watch: &'w mut W,
}

/// What a bare unit became.
#[derive(Clone)]
pub struct Provisioned {
    /// The unit's name.
    pub device_id: DeviceId,
    /// SPKI DER of its key.
    pub public_key: Vec<u8>,
    /// The record that it proved.
    pub record: RecordSummary,
    /// SHA-256 of its agent's image, as it says.
    pub agent_digest: Digest,
}

pub(crate) fn wrong(expected: &str) -> BenchError {
    BenchError::Answer {
        expected: expected.to_owned(),
        got: "something else".to_owned(),
    }
}

pub(crate) fn bench_key() -> Result<SecretKey, BenchError> {
    SecretKey::from_bytes(&BENCH_KEY.into()).map_err(|_| wrong("a private key"))
}

/// The public key of the bench as the protocol writes points.
///
/// # Errors
/// None that can occur: the key is fixed.
pub fn bench_point() -> Result<Point, BenchError> {
    let point = bench_key()?.public_key().to_sec1_point(false);
    Point::from_sec1(point.as_bytes()).ok_or_else(|| wrong("a point"))
}

/// The record's content.
fn content<'a>(
    cloud_key: &'a [u8],
    authority: Point,
    credentials: Option<&'a [u8]>,
) -> RecordContent<'a> {
    RecordContent {
        product: [1; 16],
        key_policy: KeyPolicy::OnDevice,
        lock_policy: LockPolicy::Sealed,
        cloud_key,
        cloud_address: CLOUD_ADDRESS,
        authority: Some(authority),
        credentials,
    }
}

pub(crate) fn verify(
    public_key: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> Result<(), BenchError> {
    let verified = || {
        let point = spki::p256_point(public_key)?.to_sec1();
        let key = VerifyingKey::from_sec1_bytes(&point).ok()?;
        key.verify_prehash(digest, &Signature::from_slice(signature).ok()?)
            .ok()
    };
    verified().ok_or_else(|| wrong("a valid signature"))
}

impl<'w, L: Link, W: Watch> Job<'w, L, W> {
    /// A job over `link`.
    pub fn new(link: L, watch: &'w mut W) -> Self {
        Self {
            station: Station::new(link),
            watch,
        }
    }

    pub(crate) fn ask<T>(
        &mut self,
        name: &'static str,
        request: &Request<'_>,
        take: impl FnOnce(&Response<'_>) -> Option<T>,
    ) -> Result<T, BenchError> {
        self.watch.before(name);
        let answer = self.station.ask(name, request, take)?;
        self.watch.after(name, self.station.busy_ms());
        Ok(answer)
    }

    fn hello(&mut self) -> Result<(), BenchError> {
        let request = Request::Hello {
            minimum: version::OLDEST,
            maximum: version::CURRENT,
        };
        self.ask("hello", &request, |response| {
            matches!(
                response,
                Response::Hello {
                    version: version::CURRENT
                }
            )
            .then_some(())
        })
    }

    /// Begins a conversation and asks who the unit is.
    ///
    /// # Errors
    /// Any [`BenchError`].
    pub fn identify(&mut self) -> Result<Identity, BenchError> {
        self.hello()?;
        self.ask("identify", &Request::Identify, |response| match response {
            Response::Identity(identity) => Some(*identity),
            _ => None,
        })
    }

    pub(crate) fn sign(
        &mut self,
        name: &'static str,
        request: &Request<'_>,
    ) -> Result<Vec<u8>, BenchError> {
        self.ask(name, request, |response| match response {
            Response::Signature { signature } => Some(signature.to_vec()),
            _ => None,
        })
    }

    /// Resets the unit and begins a new conversation.
    ///
    /// # Errors
    /// Any [`BenchError`].
    pub fn reset(&mut self) -> Result<(), BenchError> {
        self.ask("reset", &Request::Reset, |response| {
            (*response == Response::Done).then_some(())
        })?;
        self.station.set_session(None);
        std::thread::sleep(BOOT);
        self.hello()
    }

    /// Makes a bare unit a device: key, possession, record, reset, proof.
    ///
    /// # Errors
    /// Any [`BenchError`]; a wrong signature is one.
    pub fn provision(&mut self) -> Result<Provisioned, BenchError> {
        let identity = self.identify()?;
        if identity.platform != Platform::Nrf51822
            || identity.key.is_some()
            || identity.record.is_some()
        {
            return Err(wrong("a bare nRF51822"));
        }
        let request = Request::GenerateKey {
            algorithm: Algorithm::P256,
            station_entropy: [0x5A; 32],
        };
        let public_key = self.ask("generate key", &request, |response| match response {
            Response::PublicKey {
                algorithm: Algorithm::P256,
                made: KeyPolicy::OnDevice,
                spki,
            } => Some(spki.to_vec()),
            _ => None,
        })?;
        let challenge = [3; 32];
        let signature = self.sign("prove possession", &Request::ProvePossession { challenge })?;
        let claim = ClaimTranscript {
            challenge: &challenge,
            device_id: identity.device_id,
            algorithm: Algorithm::P256,
            public_key: &public_key,
        };
        verify(&public_key, &claim.digest(), &signature)?;
        let summary = self.inject("inject", None)?;
        self.reset()?;
        let unit = Provisioned {
            device_id: identity.device_id,
            public_key,
            record: summary,
            agent_digest: identity.agent_digest,
        };
        self.prove(&unit)?;
        Ok(unit)
    }

    pub(crate) fn inject(
        &mut self,
        name: &'static str,
        credentials: Option<&[u8]>,
    ) -> Result<RecordSummary, BenchError> {
        let authority = bench_point()?;
        let cloud_key = spki::p256(&authority);
        let content = content(&cloud_key, authority, credentials);
        let summary = self.ask(
            name,
            &Request::Inject { content },
            |response| match response {
                Response::Injected(summary) => Some(*summary),
                _ => None,
            },
        )?;
        let digest = record::digest(&content, summary.sequence, &summary.credentials_commitment);
        if digest == summary.digest {
            Ok(summary)
        } else {
            Err(wrong("the digest of the record that was sent"))
        }
    }

    /// Has the unit prove what it holds.
    ///
    /// # Errors
    /// Any [`BenchError`]; a wrong proof is one.
    pub fn prove(&mut self, unit: &Provisioned) -> Result<(), BenchError> {
        let cloud_key = spki::p256(&bench_point()?);
        let session_hash = self.station.session().map(|session| *session.hash());
        let (nonce, station, order, run) = ([4; 32], [5; 16], [6; 16], [7; 16]);
        let request = Request::Prove {
            nonce,
            station,
            order,
            run,
        };
        let (record, agent_digest, signature) =
            self.ask("prove", &request, |response| match response {
                Response::Proof {
                    record,
                    agent_digest,
                    authenticator: Authenticator::Signature(signature),
                } => Some((*record, *agent_digest, signature.to_vec())),
                _ => None,
            })?;
        if record != unit.record || agent_digest != unit.agent_digest {
            return Err(wrong("the record that was injected and the same agent"));
        }
        let transcript = ProofTranscript {
            version: version::CURRENT,
            algorithm: Algorithm::P256,
            made: KeyPolicy::OnDevice,
            key_policy: KeyPolicy::OnDevice,
            nonce: &nonce,
            device_id: unit.device_id,
            platform: Platform::Nrf51822,
            product: &[1; 16],
            order: &order,
            run: &run,
            public_key: &unit.public_key,
            cloud_key_fingerprint: &identity::fingerprint(&cloud_key),
            cloud_address: CLOUD_ADDRESS,
            record_sequence: record.sequence,
            record_digest: &record.digest,
            agent_digest: &agent_digest,
            lock_policy: LockPolicy::Sealed,
            session_hash: session_hash.as_ref(),
            station: &station,
        };
        verify(&unit.public_key, &transcript.digest(), &signature)
    }
}
