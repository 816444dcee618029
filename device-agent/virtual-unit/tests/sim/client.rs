//! A small station: speaks the protocol to a simulated unit and gives back what came, undigested.

use keyline_protocol::frame::{
    self, ENCODED_LENGTH_MAX, Header, Kind, PAYLOAD_LENGTH_MAX, Receiver,
};
use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::{Identity, Point, RecordSummary, Refusal, Request, Response};
use keyline_protocol::record::RecordContent;
use keyline_protocol::session::{Session, Side};
use keyline_protocol::version;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;

/// The chip id of every test's unit, unless it needs another.
pub(crate) const CHIP_ID: (u32, u32) = (0x0123_4567, 0x89ab_cdef);

pub(crate) const ENTROPY: [u8; 32] = [0x5e; 32];

/// A unit that behaves the same in every run.
pub(crate) fn unit(platform: Platform) -> SimUnit {
    SimUnit::new(SimOptions::seeded(platform, CHIP_ID, 7))
}

/// One answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    pub(crate) fn response(&self) -> Response<'_> {
        frame::decode_message(&self.0).expect("a response")
    }

    #[track_caller]
    pub(crate) fn refusal(&self) -> Refusal {
        match self.response() {
            Response::Refused(refusal) => refusal,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn injected(&self) -> RecordSummary {
        match self.response() {
            Response::Injected(summary) => summary,
            other => panic!("expected a record, got {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn public_key(&self) -> (Algorithm, KeyPolicy, Vec<u8>) {
        match self.response() {
            Response::PublicKey {
                algorithm,
                made,
                spki,
            } => (algorithm, made, spki.to_vec()),
            other => panic!("expected a public key, got {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn signature(&self) -> Vec<u8> {
        match self.response() {
            Response::Signature { signature } => signature.to_vec(),
            other => panic!("expected a signature, got {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn done(&self) {
        assert_eq!(self.response(), Response::Done);
    }
}

/// One end of a conversation.
pub(crate) struct Client {
    pub(crate) unit: SimUnit,
    pub(crate) sequence: u16,
    pub(crate) session: Option<Session>,
}

impl Client {
    /// Begins a conversation.
    pub(crate) fn new(unit: &SimUnit) -> Self {
        let mut client = Self {
            unit: unit.clone(),
            sequence: 0,
            session: None,
        };
        client.hello();
        client
    }

    #[track_caller]
    pub(crate) fn hello(&mut self) {
        self.session = None;
        let hello = Request::Hello {
            minimum: version::OLDEST,
            maximum: version::CURRENT,
        };
        assert_eq!(self.call(&hello).response(), Response::Hello { version: 1 });
    }

    /// Sends bytes and gives every frame that came back.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
        // A cable or power that goes in the middle is what some tests are about: then less comes back.
        let mut came = Vec::new();
        if self.unit.write(bytes).is_ok() {
            let _ = self.unit.read(&mut came);
        }
        let mut receiver = Receiver::new();
        came.into_iter()
            .filter_map(|byte| {
                let frame = receiver.push(byte)?.expect("a whole frame");
                Some((frame.header, frame.payload.to_vec()))
            })
            .collect()
    }

    /// The frame of a request in the clear, with the next sequence number.
    pub(crate) fn frame(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.sequence += 1;
        let header = Header {
            kind: Kind::Request,
            sequence: self.sequence,
        };
        let mut payload = [0; PAYLOAD_LENGTH_MAX];
        let length = frame::encode_message(request, &mut payload).expect("room for a request");
        encode(header, &payload[..length])
    }

    /// The frame of a request in the session.
    pub(crate) fn sealed_frame(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.sequence += 1;
        let header = Header {
            kind: Kind::SealedRequest,
            sequence: self.sequence,
        };
        let mut payload = [0; PAYLOAD_LENGTH_MAX];
        let length = frame::encode_message(request, &mut payload).expect("room for a request");
        let session = self.session.as_mut().expect("an open session");
        let length = session
            .seal(header, &mut payload, length)
            .expect("room for the tag");
        encode(header, &payload[..length])
    }

    /// Asks in the clear; `None` when no answer came.
    pub(crate) fn try_call(&mut self, request: &Request<'_>) -> Option<Answer> {
        let frame = self.frame(request);
        let (header, payload) = self
            .exchange(&frame)
            .into_iter()
            .find(|(header, _)| header.kind != Kind::Busy)?;
        assert_eq!(
            (header.kind, header.sequence),
            (Kind::Response, self.sequence)
        );
        Some(Answer(payload))
    }

    /// Asks in the clear.
    #[track_caller]
    pub(crate) fn call(&mut self, request: &Request<'_>) -> Answer {
        self.try_call(request).expect("an answer")
    }

    /// Asks in the session; `None` when no answer came.
    pub(crate) fn try_sealed(&mut self, request: &Request<'_>) -> Option<Answer> {
        let frame = self.sealed_frame(request);
        let (header, mut payload) = self
            .exchange(&frame)
            .into_iter()
            .find(|(header, _)| header.kind != Kind::Busy)?;
        assert_eq!(
            (header.kind, header.sequence),
            (Kind::SealedResponse, self.sequence)
        );
        let session = self.session.as_mut().expect("an open session");
        let message = session.open(header, &mut payload).expect("authentic");
        Some(Answer(message.to_vec()))
    }

    /// Asks in the session.
    #[track_caller]
    pub(crate) fn sealed(&mut self, request: &Request<'_>) -> Answer {
        self.try_sealed(request).expect("an answer")
    }

    /// Opens a session that nobody vouches for.
    pub(crate) fn open_session(&mut self) {
        let (secret, station) = station_key();
        let answer = self.call(&Request::OpenSession { station });
        let Response::SessionOpened { unit } = answer.response() else {
            panic!("expected a session, got {answer:?}");
        };
        let unit_key = p256::PublicKey::from_sec1_bytes(&unit.to_sec1()).expect("a point");
        let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), unit_key.as_affine());
        let shared = (*shared.raw_secret_bytes()).into();
        self.session = Some(Session::new(
            Side::Station,
            version::CURRENT,
            self.unit.device_id(),
            &station,
            &unit,
            &shared,
        ));
    }

    /// Opens a session and has the device key sign it.
    pub(crate) fn open_authenticated_session(&mut self) {
        self.open_session();
        self.sealed(&Request::AuthenticateSession).signature();
    }

    #[track_caller]
    pub(crate) fn generate_key(&mut self) -> Vec<u8> {
        self.call(&generate_key()).public_key().2
    }

    #[track_caller]
    pub(crate) fn identity(&mut self) -> Identity {
        match self.call(&Request::Identify).response() {
            Response::Identity(identity) => identity,
            other => panic!("expected an identity, got {other:?}"),
        }
    }
}

pub(crate) fn generate_key() -> Request<'static> {
    Request::GenerateKey {
        algorithm: Algorithm::P256,
        station_entropy: ENTROPY,
    }
}

pub(crate) fn prove() -> Request<'static> {
    Request::Prove {
        nonce: [1; 32],
        station: [2; 16],
        order: [3; 16],
        run: [4; 16],
    }
}

/// A station's ephemeral key. Fixed, as nothing here depends on its being fresh.
fn station_key() -> (SecretKey, Point) {
    let secret = SecretKey::from_bytes(&[0x17; 32].into()).expect("a scalar");
    let point = point_of(&secret);
    (secret, point)
}

pub(crate) fn point_of(secret: &SecretKey) -> Point {
    Point::from_sec1(secret.public_key().to_sec1_point(false).as_bytes()).expect("a point")
}

pub(crate) fn encode(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut encoded = [0; ENCODED_LENGTH_MAX];
    let length = frame::encode(header, payload, &mut encoded).expect("a payload that fits");
    encoded[..length].to_vec()
}

/// A record without credentials.
pub(crate) fn content(cloud_key: &[u8]) -> RecordContent<'_> {
    RecordContent {
        product: [9; 16],
        key_policy: KeyPolicy::OnDevice,
        lock_policy: LockPolicy::Sealed,
        cloud_key,
        cloud_address: "cloud.example:8883",
        authority: None,
        credentials: None,
    }
}

#[track_caller]
pub(crate) fn assert_no_violations(unit: &SimUnit) {
    unit.with_chip(|chip| assert_eq!(chip.flash.violations(), []));
}

/// All the bytes of the unit's areas.
pub(crate) fn flash(unit: &SimUnit) -> Vec<u8> {
    unit.with_chip(|chip| chip.flash.bytes().to_vec())
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
