//! What must hold for any bytes at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use keyline_protocol::frame::{
    ENCODED_LENGTH_MAX, FrameFault, Header, Kind, PAYLOAD_LENGTH_MAX, Receiver, decode_message,
    encode, encode_message,
};
use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy};
use keyline_protocol::message::{KEY_CHUNK_LENGTH_MAX, Point, Request, Response};
use keyline_protocol::record::{
    CLOUD_ADDRESS_LENGTH_MAX, CLOUD_KEY_LENGTH_MAX, CREDENTIALS_LENGTH_MAX, RecordContent,
};
use keyline_protocol::session::{Session, SessionFault, Side, TAG_LENGTH};
use keyline_protocol::spki;
use proptest::prelude::*;

const KINDS: [Kind; 6] = [
    Kind::Request,
    Kind::SealedRequest,
    Kind::Response,
    Kind::SealedResponse,
    Kind::Busy,
    Kind::Rejected,
];

fn receive(receiver: &mut Receiver, bytes: &[u8]) -> Vec<Result<(Header, Vec<u8>), FrameFault>> {
    let mut frames = Vec::new();
    for byte in bytes {
        if let Some(result) = receiver.push(*byte) {
            frames.push(result.map(|frame| (frame.header, frame.payload.to_vec())));
        }
    }
    frames
}

fn framed(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; ENCODED_LENGTH_MAX];
    let length = encode(header, payload, &mut out).unwrap();
    out[..length].to_vec()
}

fn pair() -> (Session, Session) {
    let device = DeviceId::from_bytes([7; 12]);
    let (station, unit) = (
        Point {
            x: [1; 32],
            y: [2; 32],
        },
        Point {
            x: [3; 32],
            y: [4; 32],
        },
    );
    let one = |side| Session::new(side, 1, device, &station, &unit, &[9; 32]);
    (one(Side::Station), one(Side::Unit))
}

fn open(session: &mut Session, header: Header, sealed: &[u8]) -> Result<Vec<u8>, SessionFault> {
    session
        .open(header, &mut sealed.to_vec())
        .map(|message| message.to_vec())
}

proptest! {
    #[test]
    fn a_frame_comes_back_whatever_it_carries(
        payload in proptest::collection::vec(any::<u8>(), 0..=PAYLOAD_LENGTH_MAX),
        kind in proptest::sample::select(&KINDS[..]),
        sequence: u16,
        noise in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let header = Header { kind, sequence };
        let mut receiver = Receiver::new();
        // Whatever came before, a zero ends it and the next frame is whole.
        receive(&mut receiver, &noise);
        receiver.push(0);
        prop_assert_eq!(receive(&mut receiver, &framed(header, &payload)), vec![Ok((header, payload))]);
    }

    #[test]
    fn a_changed_bit_is_never_taken_for_a_frame(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        place: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let header = Header { kind: Kind::Request, sequence: 5 };
        let mut bytes = framed(header, &payload);
        let place = place.index(bytes.len() - 1);
        bytes[place] ^= 1 << bit;
        for frame in receive(&mut Receiver::new(), &bytes).into_iter().flatten() {
            prop_assert!(false, "taken for a frame: {frame:?}");
        }
    }

    #[test]
    fn a_truncated_frame_is_never_taken_for_one(payload in proptest::collection::vec(any::<u8>(), 0..200), place: prop::sample::Index) {
        let mut bytes = framed(Header { kind: Kind::Request, sequence: 5 }, &payload);
        bytes.truncate(place.index(bytes.len() - 1));
        bytes.push(0);
        prop_assert!(receive(&mut Receiver::new(), &bytes).into_iter().all(|frame| frame.is_err()));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let mut receiver = Receiver::new();
        receive(&mut receiver, &bytes);
        let _ = decode_message::<Request<'_>>(&bytes);
        let _ = decode_message::<Response<'_>>(&bytes);
        for algorithm in Algorithm::ALL {
            let _ = spki::rsa_modulus_of_private_key(algorithm, &bytes);
        }
        let _ = spki::p256_point(&bytes);
    }

    #[test]
    fn a_sealed_message_opens_once_and_only_unchanged(
        message in proptest::collection::vec(any::<u8>(), 0..300),
        place: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let (mut station, mut unit) = pair();
        let header = Header { kind: Kind::SealedRequest, sequence: 1 };
        let mut sealed = message.clone();
        sealed.resize(message.len() + TAG_LENGTH, 0);
        prop_assert_eq!(station.seal(header, &mut sealed, message.len()), Ok(sealed.len()));

        let mut changed = sealed.clone();
        let place = place.index(changed.len());
        changed[place] ^= 1 << bit;
        prop_assert_eq!(open(&mut unit, header, &changed), Err(SessionFault::NotAuthentic));
        let other = Header { sequence: 2, ..header };
        prop_assert_eq!(open(&mut unit, other, &sealed), Err(SessionFault::NotAuthentic));
        let other = Header { kind: Kind::SealedResponse, ..header };
        prop_assert_eq!(open(&mut unit, other, &sealed), Err(SessionFault::NotAuthentic));
        prop_assert_eq!(open(&mut station, header, &sealed), Err(SessionFault::NotAuthentic), "not the other direction");

        prop_assert_eq!(open(&mut unit, header, &sealed), Ok(message));
        prop_assert_eq!(open(&mut unit, header, &sealed), Err(SessionFault::SequenceReused { last: 1, got: 1 }));
    }
}

#[test]
fn a_sequence_number_is_sealed_at_most_once() {
    let (mut station, _) = pair();
    let header = Header {
        kind: Kind::SealedRequest,
        sequence: 9,
    };
    assert_eq!(station.seal(header, &mut [0; 64], 8), Ok(24));
    assert_eq!(
        station.seal(header, &mut [0; 64], 8),
        Err(SessionFault::SequenceReused { last: 9, got: 9 })
    );
    assert_eq!(
        station.seal(
            Header {
                sequence: 10,
                ..header
            },
            &mut [0; 20],
            8
        ),
        Err(SessionFault::TooLong)
    );
}

#[test]
fn an_oversized_frame_is_refused_and_the_next_one_read() {
    let mut receiver = Receiver::new();
    let mut bytes = vec![1; ENCODED_LENGTH_MAX + 1];
    bytes.push(0);
    assert_eq!(
        receive(&mut receiver, &bytes),
        vec![Err(FrameFault::Oversized)]
    );
    let header = Header {
        kind: Kind::Response,
        sequence: 1,
    };
    assert_eq!(
        receive(&mut receiver, &framed(header, &[1])),
        vec![Ok((header, vec![1]))]
    );
    assert_eq!(
        encode(
            header,
            &[0; PAYLOAD_LENGTH_MAX + 1],
            &mut [0; ENCODED_LENGTH_MAX]
        ),
        Err(FrameFault::PayloadTooLong)
    );
}

#[test]
fn the_longest_messages_fit_a_sealed_frame() {
    let point = Point {
        x: [0xff; 32],
        y: [0xff; 32],
    };
    let address = "a".repeat(CLOUD_ADDRESS_LENGTH_MAX);
    let inject = Request::Inject {
        content: RecordContent {
            product: [0xff; 16],
            key_policy: KeyPolicy::Existing,
            lock_policy: LockPolicy::ReadBack,
            cloud_key: &[0xff; CLOUD_KEY_LENGTH_MAX],
            cloud_address: &address,
            authority: Some(point),
            credentials: Some(&[0xff; CREDENTIALS_LENGTH_MAX]),
        },
    };
    let import = Request::ImportKey {
        algorithm: Algorithm::Rsa3072,
        length: u16::MAX,
        offset: u16::MAX,
        bytes: &[0xff; KEY_CHUNK_LENGTH_MAX],
    };
    for request in [inject, import] {
        let mut payload = [0; PAYLOAD_LENGTH_MAX];
        let length = encode_message(&request, &mut payload).unwrap();
        assert!(length + TAG_LENGTH <= PAYLOAD_LENGTH_MAX, "{length}");
    }
}

/// `openssl genrsa`, `openssl rsa -pubout -outform DER` and the P-256 equivalents are the oracle.
mod against_openssl {
    use std::process::{Command, Stdio};

    use super::*;

    fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}");
        output.stdout
    }

    #[test]
    fn public_keys_are_written_as_openssl_writes_them() {
        for (algorithm, bits) in [(Algorithm::Rsa2048, "2048"), (Algorithm::Rsa3072, "3072")] {
            let private = openssl(&["genrsa", "-traditional", bits], &[]);
            let private = openssl(&["rsa", "-traditional", "-outform", "DER"], &private);
            let public = openssl(
                &["rsa", "-inform", "DER", "-pubout", "-outform", "DER"],
                &private,
            );
            let modulus = spki::rsa_modulus_of_private_key(algorithm, &private).unwrap();
            let mut out = [0; spki::LENGTH_MAX];
            let length = spki::rsa(algorithm, modulus, &mut out).unwrap();
            assert_eq!(&out[..length], public);
            assert!(
                spki::rsa(algorithm, modulus, &mut [0; 100]).is_none(),
                "too short a buffer"
            );
            assert!(
                spki::rsa(algorithm, &modulus[1..], &mut out).is_none(),
                "a short modulus"
            );
            assert!(
                spki::rsa_modulus_of_private_key(algorithm, &private[..private.len() - 1])
                    .is_none()
            );
        }
        let private = openssl(
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
            &[],
        );
        let public = openssl(&["ec", "-pubout", "-outform", "DER"], &private);
        let point = spki::p256_point(&public).unwrap();
        assert_eq!(spki::p256(&point)[..], public);
        assert_eq!(Point::from_sec1(&point.to_sec1()), Some(point));
    }
}
