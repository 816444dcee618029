//! What a unit knows between two messages, and which request is answered by what.

use keyline_protocol::identity::{Algorithm, DeviceId, Digest, LockPolicy};
use keyline_protocol::message::{AuthorisedCommand, Identity, Refusal, Request, Response};
use keyline_protocol::session::Session;
use keyline_protocol::version;
use sha2::{Digest as _, Sha256};

use crate::authority::Authority;
use crate::generator::Generator;
use crate::hal::{Hal, Work};
use crate::key_store::{self, KeyWriter};
use crate::{AGENT_VERSION, erasure, exchange, record_store, seal};

/// A flash page must be this long to hold an RSA key: 2,048 bits take 1.5 KiB.
const RSA_PAGE_LENGTH_MIN: u32 = 4_096;

/// How a request came, and so how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Anybody could have read or written it.
    Clear,
    /// Inside the encrypted session.
    Session,
}

/// The state of a unit. Everything that must outlive a reset is in flash.
pub(crate) struct Unit<H> {
    /// The chip.
    pub(crate) hal: H,
    /// Its generator's health.
    pub(crate) generator: Generator,
    /// The version that `Hello` agreed on.
    pub(crate) version: Option<u16>,
    /// The open session.
    pub(crate) session: Option<Session>,
    /// The key that is being imported. It belongs to the session.
    pub(crate) import: Option<KeyWriter>,
    /// What a product authority permitted.
    pub(crate) authority: Authority,
    /// The sequence number of the request that is being carried out.
    pub(crate) sequence: u16,
    /// Whether the chip resets after the answer.
    pub(crate) reset_wanted: bool,
    image_digest: Option<Digest>,
    boot: Result<(), Refusal>,
}

impl<H: Hal> Unit<H> {
    /// A unit that has yet to boot.
    pub(crate) fn new(hal: H) -> Self {
        Self {
            hal,
            generator: Generator::default(),
            version: None,
            session: None,
            import: None,
            authority: Authority::default(),
            sequence: 0,
            reset_wanted: false,
            image_digest: None,
            boot: Ok(()),
        }
    }

    /// Forgets all that RAM held and puts flash in order. `body` is room for reading records.
    pub(crate) fn boot(&mut self, body: &mut [u8]) {
        self.generator = Generator::default();
        self.version = None;
        self.session = None;
        self.import = None;
        self.authority = Authority::default();
        self.reset_wanted = false;
        self.image_digest = None;
        self.boot = erasure::recover(&mut self.hal, body);
    }

    /// Carries out one request. The answer's parts lie in `bytes`; `body` is room for reading records.
    ///
    /// # Errors
    /// A refusal has changed nothing, except where [`Refusal::Flash`] says that flash failed half-way.
    pub(crate) fn answer<'b>(
        &mut self,
        request: &Request<'_>,
        channel: Channel,
        bytes: &'b mut [u8],
        body: &mut [u8],
    ) -> Result<Response<'b>, Refusal> {
        let permitted = self.admit(request, channel, body)?;
        let response = match *request {
            Request::Hello { minimum, maximum } => self.hello(minimum, maximum),
            Request::Identify => Ok(self.identify(body)?),
            Request::PublicKey => self.public_key(bytes),
            Request::OpenSession { ref station } => self.open_session(station),
            Request::AuthenticateSession => self.authenticate_session(channel, bytes),
            Request::GenerateKey {
                algorithm,
                ref station_entropy,
            } => self.generate_key(algorithm, station_entropy, bytes),
            Request::ImportKey {
                algorithm,
                length,
                offset,
                bytes: chunk,
            } => self.import_key(channel, algorithm, length, offset, chunk),
            Request::CommitKey { ref fingerprint } => self.commit_key(channel, fingerprint, bytes),
            Request::ProvePossession { ref challenge } => self.prove_possession(challenge, bytes),
            Request::Inject { ref content } => self.inject(channel, content, body),
            Request::Prove {
                ref nonce,
                ref station,
                ref order,
                ref run,
            } => {
                let demand = crate::records::Demand {
                    nonce,
                    station,
                    order,
                    run,
                };
                self.prove(channel, demand, bytes, body)
            }
            Request::Seal => self.seal(body),
            Request::Lock => self.lock(),
            Request::AuthorityNonce => self.authority_nonce(),
            Request::Authorise { command, signature } => self.authorise(command, signature, body),
            Request::EraseIdentity => self.erase_identity(),
            Request::Reset => {
                self.reset_wanted = true;
                Ok(Response::Done)
            }
        }?;
        if permitted {
            self.authority.spend();
        }
        Ok(response)
    }

    /// Whether the request may be carried out at all, and whether it takes an authority's permit to do so.
    fn admit(
        &self,
        request: &Request<'_>,
        channel: Channel,
        body: &mut [u8],
    ) -> Result<bool, Refusal> {
        let conversation = matches!(request, Request::Hello { .. } | Request::OpenSession { .. });
        if conversation && channel == Channel::Session {
            // They begin what the session would be part of.
            return Err(Refusal::Malformed);
        }
        if matches!(request, Request::Hello { .. }) {
            return Ok(false);
        }
        if self.version.is_none() {
            return Err(Refusal::NoHello);
        }
        if matches!(request, Request::Reset) {
            return Ok(false);
        }
        self.boot?;
        if !seal::is_sealed(&self.hal) {
            return Ok(false);
        }
        let command = match request {
            Request::Identify
            | Request::OpenSession { .. }
            | Request::AuthenticateSession
            | Request::Prove { .. }
            | Request::AuthorityNonce
            | Request::Authorise { .. } => return Ok(false),
            Request::Inject { .. } => AuthorisedCommand::Inject,
            Request::EraseIdentity => AuthorisedCommand::EraseIdentity,
            // A run seals first and locks then, and may be cut short in between: the record itself has asked for the lock.
            Request::Lock if self.record_wants_lock(body) => return Ok(false),
            Request::Lock => AuthorisedCommand::Lock,
            _ => return Err(Refusal::Sealed),
        };
        if self.authority.permits(command) {
            Ok(true)
        } else {
            Err(Refusal::Sealed)
        }
    }

    fn record_wants_lock(&self, body: &mut [u8]) -> bool {
        record_store::find(&self.hal, body)
            .is_some_and(|record| record.content.lock_policy == LockPolicy::ReadBack)
    }

    fn hello(&mut self, minimum: u16, maximum: u16) -> Result<Response<'static>, Refusal> {
        self.session = None;
        self.import = None;
        self.version = version::negotiate(minimum, maximum);
        match self.version {
            Some(version) => Ok(Response::Hello { version }),
            None => Err(Refusal::UnsupportedVersion {
                minimum: version::OLDEST,
                maximum: version::CURRENT,
            }),
        }
    }

    fn identify(&mut self, body: &mut [u8]) -> Result<Response<'static>, Refusal> {
        let key = key_store::find(&self.hal)?;
        Ok(Response::Identity(Identity {
            device_id: self.device_id(),
            platform: self.hal.platform(),
            agent_version: AGENT_VERSION,
            agent_digest: self.image_digest(),
            signs: set_of(|algorithm| self.signs(algorithm)),
            holds: set_of(|algorithm| self.holds(algorithm)),
            key: key.map(|key| key.summary(&self.hal)),
            record: record_store::find(&self.hal, body).map(|record| record.summary),
            sealed: seal::is_sealed(&self.hal),
            protected: self.hal.protected(),
        }))
    }

    /// The unit's name.
    pub(crate) fn device_id(&self) -> DeviceId {
        let (low, high) = self.hal.chip_id();
        DeviceId::from_words(self.hal.platform(), low, high)
    }

    /// SHA-256 of the agent's own image: computed once a boot, as it can't change while it runs.
    pub(crate) fn image_digest(&mut self) -> Digest {
        if let Some(digest) = self.image_digest {
            return digest;
        }
        self.announce([Work::ImageDigest]);
        let mut hash = Sha256::new();
        self.hal.image(&mut |piece| hash.update(piece));
        *self.image_digest.insert(hash.finalize().into())
    }

    /// Whether this agent can hold a key of `algorithm` on this chip.
    pub(crate) fn holds(&self, algorithm: Algorithm) -> bool {
        algorithm == Algorithm::P256 || self.hal.layout().page_length >= RSA_PAGE_LENGTH_MIN
    }

    /// Whether this agent can sign with a key of `algorithm` on this chip.
    pub(crate) fn signs(&self, algorithm: Algorithm) -> bool {
        let rsa = cfg!(feature = "rsa") && self.hal.signs_rsa();
        self.holds(algorithm) && (algorithm == Algorithm::P256 || rsa)
    }

    /// Tells the station how long the work ahead takes, where the chip is slow enough for it to matter.
    pub(crate) fn announce(&mut self, work: impl IntoIterator<Item = Work>) {
        let duration_ms = work
            .into_iter()
            .map(|work| self.hal.duration_ms(work))
            .fold(0, u32::saturating_add);
        if duration_ms > 0 {
            exchange::announce(&mut self.hal, self.sequence, duration_ms);
        }
    }

    /// Likewise, for work that begins with a draw from the generator.
    pub(crate) fn announce_draw(&mut self, work: impl IntoIterator<Item = Work>) {
        let start_up = self
            .generator
            .needs_start_up()
            .then_some(Work::GeneratorStartUp);
        self.announce(start_up.into_iter().chain(work));
    }
}

/// A set of algorithms as bits `1 << code`.
fn set_of(has: impl Fn(Algorithm) -> bool) -> u8 {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| has(*algorithm))
        .fold(0, |set, algorithm| set | 1 << algorithm.code())
}
