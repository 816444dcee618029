//! The literal bytes of protocol version 1. DO NOT CHANGE: units in the field and frames in evidence depend on them. A change that
//! makes one of these fail needs a new version, by the rule in `keyline_protocol::version`, and a test file of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use keyline_protocol::frame::{
    ENCODED_LENGTH_MAX, Header, Kind, Receiver, decode_message, encode, encode_message,
};
use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::{
    Authenticator, AuthorisedCommand, FlashFault, HealthTest, Identity, KeySummary, Point,
    RecordFault, RecordSummary, Refusal, Request, Response,
};
use keyline_protocol::record::{self, RecordContent};
use keyline_protocol::transcript::{
    AuthorityTranscript, ClaimTranscript, ProofTranscript, session_authentication_digest,
    session_hash,
};

const POINT: Point = Point {
    x: [0x11; 32],
    y: [0x22; 32],
};

fn content() -> RecordContent<'static> {
    RecordContent {
        product: [0x0a; 16],
        key_policy: KeyPolicy::OnDevice,
        lock_policy: LockPolicy::Sealed,
        cloud_key: &[0x30, 0x59],
        cloud_address: "cloud.example:5684",
        authority: Some(POINT),
        credentials: Some(b"ssid"),
    }
}

fn summary() -> RecordSummary {
    RecordSummary {
        sequence: 300,
        digest: [0x33; 32],
        credentials_commitment: [0x44; 32],
    }
}

fn requests() -> Vec<(Request<'static>, String)> {
    let x = "11".repeat(32);
    let y = "22".repeat(32);
    vec![
        (
            Request::Hello {
                minimum: 1,
                maximum: 1,
            },
            "000101".into(),
        ),
        (Request::Identify, "01".into()),
        (Request::PublicKey, "02".into()),
        (Request::OpenSession { station: POINT }, format!("03{x}{y}")),
        (Request::AuthenticateSession, "04".into()),
        (
            Request::GenerateKey {
                algorithm: Algorithm::P256,
                station_entropy: [0x55; 32],
            },
            format!("0500{}", "55".repeat(32)),
        ),
        (
            Request::ImportKey {
                algorithm: Algorithm::Rsa3072,
                length: 1768,
                offset: 768,
                bytes: &[1, 2, 3],
            },
            "0602e80d800603010203".into(),
        ),
        (
            Request::CommitKey {
                fingerprint: [0x66; 32],
            },
            format!("07{}", "66".repeat(32)),
        ),
        (
            Request::ProvePossession {
                challenge: [0x77; 32],
            },
            format!("08{}", "77".repeat(32)),
        ),
        (
            Request::Inject { content: content() },
            format!(
                "09{}0001023059{}01{x}{y}010473736964",
                "0a".repeat(16),
                "12636c6f75642e6578616d706c653a35363834"
            ),
        ),
        (
            Request::Prove {
                nonce: [0x88; 32],
                station: [1; 16],
                order: [2; 16],
                run: [3; 16],
            },
            format!(
                "0a{}{}{}{}",
                "88".repeat(32),
                "01".repeat(16),
                "02".repeat(16),
                "03".repeat(16)
            ),
        ),
        (Request::Seal, "0b".into()),
        (Request::Lock, "0c".into()),
        (Request::AuthorityNonce, "0d".into()),
        (
            Request::Authorise {
                command: AuthorisedCommand::EraseIdentity,
                signature: &[9; 64],
            },
            format!("0e0140{}", "09".repeat(64)),
        ),
        (Request::EraseIdentity, "0f".into()),
        (Request::Reset, "10".into()),
    ]
}

fn responses() -> Vec<(Response<'static>, String)> {
    let key = KeySummary {
        algorithm: Algorithm::P256,
        made: KeyPolicy::OnDevice,
        fingerprint: [0x99; 32],
    };
    let record = format!("ac02{}{}", "33".repeat(32), "44".repeat(32));
    vec![
        (Response::Hello { version: 1 }, "0001".into()),
        (
            Response::Identity(Identity {
                device_id: DeviceId::from_words(Platform::Nrf51822, 0x1234_5678, 3),
                platform: Platform::Nrf51822,
                agent_version: 1,
                agent_digest: [0xaa; 32],
                signs: 2,
                holds: 2,
                key: Some(key),
                record: Some(summary()),
                sealed: true,
                protected: false,
            }),
            format!(
                "024b4c512200000003123456780001{}02020100{}{}01{record}0100",
                "aa".repeat(32),
                "00",
                "99".repeat(32)
            ),
        ),
        (
            Response::PublicKey {
                algorithm: Algorithm::Rsa2048,
                made: KeyPolicy::Station,
                spki: &[0x30],
            },
            "0301010130".into(),
        ),
        (
            Response::SessionOpened { unit: POINT },
            format!("04{}{}", "11".repeat(32), "22".repeat(32)),
        ),
        (
            Response::Signature {
                signature: &[7; 64],
            },
            format!("0540{}", "07".repeat(64)),
        ),
        (Response::Injected(summary()), format!("06{record}")),
        (
            Response::Proof {
                record: summary(),
                agent_digest: [0xaa; 32],
                authenticator: Authenticator::Signature(&[8; 64]),
            },
            format!("07{record}{}0040{}", "aa".repeat(32), "08".repeat(64)),
        ),
        (
            Response::Proof {
                record: summary(),
                agent_digest: [0xaa; 32],
                authenticator: Authenticator::Mac([6; 32]),
            },
            format!("07{record}{}01{}", "aa".repeat(32), "06".repeat(32)),
        ),
        (
            Response::AuthorityNonce { nonce: [5; 32] },
            format!("08{}", "05".repeat(32)),
        ),
        (Response::Done, "09".into()),
    ]
}

fn refusals() -> Vec<(Refusal, &'static str)> {
    vec![
        (
            Refusal::UnsupportedVersion {
                minimum: 2,
                maximum: 3,
            },
            "01000203",
        ),
        (Refusal::Malformed, "0101"),
        (Refusal::NoHello, "0102"),
        (Refusal::SessionRequired, "0103"),
        (Refusal::AuthenticationRequired, "0104"),
        (Refusal::NotAuthentic, "0105"),
        (Refusal::InvalidPoint, "0106"),
        (Refusal::NoKey, "0107"),
        (Refusal::KeyExists, "0108"),
        (Refusal::UnsupportedAlgorithm, "0109"),
        (
            Refusal::KeyTransfer {
                expected: 768,
                got: 0,
            },
            "010a800600",
        ),
        (Refusal::InvalidKey, "010b"),
        (
            Refusal::GeneratorUnhealthy(HealthTest::RepetitionCount),
            "010c00",
        ),
        (Refusal::GeneratorUnhealthy(HealthTest::Stalled), "010c02"),
        (Refusal::Flash(FlashFault::Verify, 0x400), "010d028008"),
        (Refusal::InvalidRecord(RecordFault::KeyPolicy), "010e03"),
        (Refusal::NoRecord, "010f"),
        (Refusal::Sealed, "0110"),
        (Refusal::NotAuthorised, "0111"),
        (
            Refusal::OlderAgent {
                written: 2,
                running: 1,
            },
            "01120201",
        ),
        (Refusal::ProtectionFailed, "0113"),
        (Refusal::Replayed { last: 7, got: 6 }, "01140706"),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn every_request_has_its_bytes() {
    for (request, expected) in requests() {
        let mut buffer = [0; 512];
        let length = encode_message(&request, &mut buffer).unwrap();
        assert_eq!(hex(&buffer[..length]), expected);
        assert!(decode_message::<Request<'_>>(&buffer[..length]).unwrap() == request);
    }
}

#[test]
fn every_response_has_its_bytes() {
    let refused = refusals()
        .into_iter()
        .map(|(refusal, bytes)| (Response::Refused(refusal), bytes.to_owned()));
    for (response, expected) in responses().into_iter().chain(refused) {
        let mut buffer = [0; 512];
        let length = encode_message(&response, &mut buffer).unwrap();
        assert_eq!(hex(&buffer[..length]), expected, "{response:?}");
        assert_eq!(
            decode_message::<Response<'_>>(&buffer[..length]),
            Ok(response)
        );
    }
}

#[test]
fn a_frame_has_its_bytes() {
    let mut out = [0; ENCODED_LENGTH_MAX];
    let header = Header {
        kind: Kind::Request,
        sequence: 0x0102,
    };
    let length = encode(header, &[0x00, 0x01, 0x01], &mut out).unwrap();
    assert_eq!(hex(&out[..length]), FRAME);
    let mut receiver = Receiver::new();
    let (last, rest) = out[..length].split_last().unwrap();
    assert!(rest.iter().all(|byte| receiver.push(*byte).is_none()));
    let frame = receiver.push(*last).unwrap().unwrap();
    assert_eq!(
        (frame.header, &frame.payload[..]),
        (header, &[0x00, 0x01, 0x01][..])
    );
}

/// The checksum agrees with zlib's `crc32`.
const FRAME: &str = "0501010201070101bd32275c00";

#[test]
fn what_is_signed_has_its_digests() {
    let proof = ProofTranscript {
        version: 1,
        algorithm: Algorithm::P256,
        made: KeyPolicy::OnDevice,
        key_policy: KeyPolicy::Existing,
        nonce: &[1; 32],
        device_id: DeviceId::from_words(Platform::Nrf51822, 1, 2),
        platform: Platform::Nrf51822,
        product: &[2; 16],
        order: &[3; 16],
        run: &[4; 16],
        public_key: &[5; 91],
        cloud_key_fingerprint: &[6; 32],
        cloud_address: "cloud.example:5684",
        record_sequence: 7,
        record_digest: &[8; 32],
        agent_digest: &[9; 32],
        lock_policy: LockPolicy::ReadBack,
        session_hash: Some(&[10; 32]),
        station: &[11; 16],
    };
    let claim = ClaimTranscript {
        challenge: &[1; 32],
        device_id: proof.device_id,
        algorithm: Algorithm::Rsa2048,
        public_key: &[2; 294],
    };
    let authority = AuthorityTranscript {
        device_id: proof.device_id,
        nonce: &[3; 32],
        command: AuthorisedCommand::Inject,
    };
    let digests = [
        ("proof", proof.digest()),
        (
            "proof without session",
            ProofTranscript {
                session_hash: None,
                ..proof
            }
            .digest(),
        ),
        ("claim", claim.digest()),
        ("authority", authority.digest()),
        (
            "session authentication",
            session_authentication_digest(&[4; 32]),
        ),
        ("session", session_hash(1, proof.device_id, &POINT, &POINT)),
        ("record", record::digest(&content(), 300, &[0x44; 32])),
        (
            "credentials",
            record::credentials_commitment(&[5; 32], b"ssid"),
        ),
    ];
    let found: Vec<String> = digests
        .iter()
        .map(|(name, digest)| format!("{name} {}", hex(digest)))
        .collect();
    assert_eq!(found, DIGESTS);
    let mut bytes = Vec::new();
    claim.write(|part| bytes.extend_from_slice(part));
    assert_eq!(&bytes[..21], b"keyline/claim/v1\0\0\0\0\x20");
    assert_eq!(bytes.len(), 17 + 4 + 32 + 4 + 12 + 4 + 1 + 4 + 294);
}

/// Computed by an independent program from the layout that `keyline_protocol::transcript` documents.
const DIGESTS: [&str; 8] = [
    "proof 012f25dede3e320424dc1bac8b01893e9e31be63d039c2c7c064452acb835761",
    "proof without session 552601b8573c301590941ae1d29c21d278a44e466e5994e7b3d919b876eb2a66",
    "claim ade8b98478c854030a873b84fbfa0a57bc53852727b12a8dcf8e6733e8960ef8",
    "authority ce0598fee5c9f1eab86559771f47527575fb8ed5305eaa25c6b3aeedb4451976",
    "session authentication 7400b0530d5e572ad144ae7a857f681051a3f2fd950436f27516eebc9c55a084",
    "session 66fbc522e8df8c8512f59df839eb88a644f8db44196dcf8ae7a7a9ab047569bc",
    "record dd14a0206c1a165d37c09f141c276dddf84ca4e79b446fae30469e59e0fc0d5b",
    "credentials 25685f33c3ddd8494071e5c9e09a79c6441fbdc0779da467ced22a1dd12a939f",
];
