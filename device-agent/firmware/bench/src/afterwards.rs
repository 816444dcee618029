//! What comes after the job, every answer checked: credentials in a session, and what a sealed unit does for its authority.

use keyline_protocol::message::{AuthorisedCommand, RecordSummary, Request, Response};
use keyline_protocol::session::{Session, Side};
use keyline_protocol::transcript::{AuthorityTranscript, session_authentication_digest};
use keyline_protocol::version;
use p256::PublicKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};

use crate::BenchError;
use crate::job::{CREDENTIALS, Job, Provisioned, Watch, bench_key, bench_point, verify, wrong};
use crate::link::Link;

impl<L: Link, W: Watch> Job<'_, L, W> {
    /// Opens a session, has the unit sign it, and sends a record with credentials in it.
    ///
    /// # Errors
    /// Any [`BenchError`].
    pub fn inject_credentials(&mut self, unit: &Provisioned) -> Result<RecordSummary, BenchError> {
        let ours = bench_point()?;
        let theirs = self.ask(
            "open session",
            &Request::OpenSession { station: ours },
            |response| match response {
                Response::SessionOpened { unit } => Some(*unit),
                _ => None,
            },
        )?;
        let their_key = PublicKey::from_sec1_bytes(&theirs.to_sec1())
            .map_err(|_| wrong("a point on the curve"))?;
        let shared =
            p256::ecdh::diffie_hellman(bench_key()?.to_nonzero_scalar(), their_key.as_affine());
        let session = Session::new(
            Side::Station,
            version::CURRENT,
            unit.device_id,
            &ours,
            &theirs,
            shared.raw_secret_bytes().as_ref(),
        );
        let digest = session_authentication_digest(session.hash());
        self.station.set_session(Some(session));
        let signature = self.sign("authenticate session", &Request::AuthenticateSession)?;
        verify(&unit.public_key, &digest, &signature)?;
        self.inject("inject credentials", Some(CREDENTIALS))
    }

    /// Seals the unit, sees that it refuses another record, and has its authority permit one.
    ///
    /// # Errors
    /// Any [`BenchError`].
    pub fn seal_and_authorise(&mut self, unit: &Provisioned) -> Result<(), BenchError> {
        let done = |response: &Response<'_>| (*response == Response::Done).then_some(());
        self.ask("seal", &Request::Seal, done)?;
        if self.inject("refused inject", None).is_ok() {
            return Err(wrong("a refusal by a sealed unit"));
        }
        let nonce = self.ask(
            "authority nonce",
            &Request::AuthorityNonce,
            |response| match response {
                Response::AuthorityNonce { nonce } => Some(*nonce),
                _ => None,
            },
        )?;
        let command = AuthorisedCommand::Inject;
        let transcript = AuthorityTranscript {
            device_id: unit.device_id,
            nonce: &nonce,
            command,
        };
        let signature: Signature = SigningKey::from(&bench_key()?)
            .sign_prehash(&transcript.digest())
            .map_err(|_| wrong("a signature"))?;
        let signature = signature.to_bytes();
        let request = Request::Authorise {
            command,
            signature: &signature,
        };
        self.ask("authorise", &request, done)?;
        self.inject("permitted inject", None).map(drop)
    }
}
