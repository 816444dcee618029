//! Frames that are lost, changed, or come again.

use keyline_protocol::frame::{self, FrameFault, Header, Kind};
use keyline_protocol::identity::Platform;
use keyline_protocol::message::{Refusal, Request, Response};
use keyline_virtual_unit::sim::SimUnit;
use proptest::prelude::*;

use crate::client::{Client, content, encode, flash, generate_key, unit};

/// A unit with a key, and how often it has signed or drawn so far shows in its counts.
fn keyed() -> (SimUnit, Client) {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    (unit, client)
}

fn only(answers: Vec<(Header, Vec<u8>)>) -> (Header, Vec<u8>) {
    let mut answers: Vec<_> = answers
        .into_iter()
        .filter(|(header, _)| header.kind != Kind::Busy)
        .collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

fn refusal(answer: &(Header, Vec<u8>)) -> Refusal {
    match frame::decode_message(&answer.1).expect("a response") {
        Response::Refused(refusal) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn the_same_frame_again_is_answered_again_and_done_once() {
    let (unit, mut client) = keyed();
    let request = client.frame(&Request::Inject {
        content: content(&[0xc1; 91]),
    });
    let first = only(client.exchange(&request));
    let before = (flash(&unit), unit.counts().flash_writes);
    for _ in 0..3 {
        assert_eq!(only(client.exchange(&request)), first);
    }
    // Garbage in between does not lose the answer.
    let rejected = only(client.exchange(&[1, 2, 3, 0]));
    assert_eq!(rejected.0.kind, Kind::Rejected);
    assert_eq!(only(client.exchange(&request)), first);
    assert_eq!((flash(&unit), unit.counts().flash_writes), before);
}

#[test]
fn a_sealed_frame_again_is_answered_by_the_same_bytes() {
    let (unit, mut client) = keyed();
    client.open_session();
    let request = client.sealed_frame(&Request::Inject {
        content: content(&[0xc1; 91]),
    });
    let first = only(client.exchange(&request));
    let before = unit.counts().flash_writes;
    assert_eq!(only(client.exchange(&request)), first);
    assert_eq!(unit.counts().flash_writes, before);
}

#[test]
fn what_does_not_grow_is_refused_as_replayed() {
    let (unit, mut client) = keyed();
    let old = client.frame(&Request::Inject {
        content: content(&[0xc1; 91]),
    });
    client.exchange(&old);
    client.identity();
    let before = flash(&unit);
    let last = client.sequence;
    let replayed = only(client.exchange(&old));
    assert_eq!(
        refusal(&replayed),
        Refusal::Replayed {
            last,
            got: last - 1
        }
    );

    // The last number with other bytes.
    client.sequence -= 1;
    let other = client.frame(&Request::EraseIdentity);
    let replayed = only(client.exchange(&other));
    assert_eq!(refusal(&replayed), Refusal::Replayed { last, got: last });
    assert_eq!(flash(&unit), before);
    client.sequence += 10;
    client.identity();
}

#[test]
fn hello_begins_anew_whatever_its_number() {
    let (unit, mut client) = keyed();
    client.open_session();
    client.sequence = 0;
    client.hello();
    client.identity();
    // The session is gone.
    let stale = Header {
        kind: Kind::SealedRequest,
        sequence: 9,
    };
    let answer = only(client.exchange(&encode(stale, &[0; 40])));
    assert_eq!(refusal(&answer), Refusal::SessionRequired);
    unit.reset().expect("a cable");
    assert_eq!(client.call(&Request::Identify).refusal(), Refusal::NoHello);
}

#[test]
fn a_version_that_the_unit_does_not_speak_is_refused() {
    let (_, mut client) = keyed();
    let hello = Request::Hello {
        minimum: 2,
        maximum: 9,
    };
    let unsupported = Refusal::UnsupportedVersion {
        minimum: 1,
        maximum: 1,
    };
    assert_eq!(client.call(&hello).refusal(), unsupported);
    assert_eq!(client.call(&Request::Identify).refusal(), Refusal::NoHello);
}

#[test]
fn a_forged_sealed_frame_does_not_lock_the_true_one_out() {
    let (_, mut client) = keyed();
    client.open_session();
    let header = Header {
        kind: Kind::SealedRequest,
        sequence: client.sequence + 1,
    };
    let answer = only(client.exchange(&encode(header, &[0x55; 64])));
    assert_eq!(refusal(&answer), Refusal::NotAuthentic);
    assert_eq!(answer.0.kind, Kind::Response);
    client.sealed(&Request::AuthenticateSession).signature();
}

#[test]
fn each_fault_of_a_frame_is_named() {
    let (_, client) = keyed();
    let sound = encode(
        Header {
            kind: Kind::Request,
            sequence: 99,
        },
        &[1],
    );
    let mut changed = sound.clone();
    changed[3] ^= 0x40;
    let oversized = [vec![1; frame::ENCODED_LENGTH_MAX + 1], vec![0]].concat();
    for (bytes, expected) in [
        (vec![9, 1, 0], None),
        (vec![3, 1, 1, 0], Some(FrameFault::Truncated(2))),
        (oversized, Some(FrameFault::Oversized)),
        (changed, None),
    ] {
        let (header, payload) = only(client.exchange(&bytes));
        assert_eq!(header.kind, Kind::Rejected);
        let fault: FrameFault = frame::decode_message(&payload).expect("a fault");
        match expected {
            Some(expected) => assert_eq!(fault, expected),
            None => assert!(
                matches!(fault, FrameFault::NotCobs | FrameFault::Checksum { .. }),
                "{fault}"
            ),
        }
    }
}

#[test]
fn frames_that_only_a_unit_sends_are_not_answered() {
    let (_, client) = keyed();
    for kind in [
        Kind::Response,
        Kind::SealedResponse,
        Kind::Busy,
        Kind::Rejected,
    ] {
        let sequence = client.sequence + 1;
        assert_eq!(
            client.exchange(&encode(Header { kind, sequence }, &[1])),
            []
        );
    }
}

#[test]
fn a_reset_is_answered_first() {
    let (unit, mut client) = keyed();
    let boots = unit.counts().boots;
    client.call(&Request::Reset).done();
    assert_eq!(unit.counts().boots, boots + 1);
    assert_eq!(client.call(&generate_key()).refusal(), Refusal::NoHello);
}

/// A sealed unit: nothing that anybody sends may change its flash.
fn sealed() -> (SimUnit, Client) {
    let (unit, mut client) = keyed();
    client
        .call(&Request::Inject {
            content: content(&[0xc1; 91]),
        })
        .injected();
    client.call(&Request::Seal).done();
    (unit, client)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_at_all_change_nothing(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 0..8)) {
        let (unit, mut client) = keyed();
        let before = flash(&unit);
        for chunk in &chunks {
            unit.write(chunk).expect("a cable");
            unit.write(&[0]).expect("a cable");
        }
        let _ = unit.read(&mut Vec::new());
        prop_assert_eq!(flash(&unit), before);
        client.sequence += 1;
        client.hello();
        client.identity();
    }

    #[test]
    fn any_payload_at_all_leaves_a_sealed_unit_as_it_is(
        payloads in prop::collection::vec((0_u8..18, prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 1..12),
    ) {
        let (unit, mut client) = sealed();
        client.open_authenticated_session();
        let before = flash(&unit);
        for (variant, mut payload, in_session) in payloads {
            payload.insert(0, variant);
            client.sequence += 1;
            let kind = if in_session { Kind::SealedRequest } else { Kind::Request };
            let header = Header { kind, sequence: client.sequence };
            let mut buffer = [0; frame::PAYLOAD_LENGTH_MAX];
            buffer[..payload.len()].copy_from_slice(&payload);
            let mut length = payload.len();
            if in_session && let Some(session) = &mut client.session {
                length = session.seal(header, &mut buffer, length).expect("room");
            }
            client.exchange(&encode(header, &buffer[..length]));
        }
        prop_assert_eq!(flash(&unit), before);
        unit.with_chip(|chip| assert_eq!(chip.flash.violations(), []));
    }
}
