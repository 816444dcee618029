//! What a conversation makes of a unit that misbehaves: answers to other requests, endless work, false keys, broken sessions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end a test by panicking, as the tests do"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyline_protocol::frame::{self, ENCODED_LENGTH_MAX, Header, Kind, Receiver};
use keyline_protocol::identity::{Algorithm, DeviceId, Platform};
use keyline_protocol::message::{Point, Request, Response};
use keyline_station::link::{AgentImage, AgentStart, Attachment, LinkError, Target};
use keyline_station::session::{Conversation, SessionError};

type Answers = dyn FnMut(Header, &[u8]) -> Vec<(Header, Vec<u8>)> + Send;

/// A unit whose every answer a test chooses. Its silence is reported at once.
struct Scripted {
    receiver: Receiver,
    answers: Box<Answers>,
    outgoing: VecDeque<u8>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn scripted(
    answers: impl FnMut(Header, &[u8]) -> Vec<(Header, Vec<u8>)> + Send + 'static,
) -> (Conversation, Arc<Mutex<Vec<Vec<u8>>>>) {
    let sent = Arc::default();
    let target = Scripted {
        receiver: Receiver::new(),
        answers: Box::new(answers),
        outgoing: VecDeque::new(),
        sent: Arc::clone(&sent),
    };
    (Conversation::new(Box::new(target)), sent)
}

impl Target for Scripted {
    fn describe(&self) -> String {
        "scripted".into()
    }
    fn attach(&mut self, _: Platform) -> Result<Attachment, LinkError> {
        Ok(Attachment { probe: None })
    }
    fn start_agent(&mut self, _: &AgentImage) -> Result<AgentStart, LinkError> {
        Ok(AgentStart { measured: None })
    }
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.sent.lock().unwrap().push(bytes.to_vec());
        for byte in bytes {
            if let Some(Ok(frame)) = self.receiver.push(*byte) {
                for (header, payload) in (self.answers)(frame.header, frame.payload) {
                    let mut encoded = [0; ENCODED_LENGTH_MAX];
                    let length = frame::encode(header, &payload, &mut encoded).unwrap();
                    self.outgoing.extend(&encoded[..length]);
                }
            }
        }
        Ok(())
    }
    fn receive(&mut self, _: Instant, into: &mut Vec<u8>) -> Result<(), LinkError> {
        if self.outgoing.is_empty() {
            return Err(LinkError::Timeout {
                waited: Duration::ZERO,
            });
        }
        into.extend(self.outgoing.drain(..));
        Ok(())
    }
    fn reset(&mut self) -> Result<(), LinkError> {
        Ok(())
    }
    fn resets_by_itself(&self) -> bool {
        true
    }
    fn read_memory(&mut self, _: u32, _: usize) -> Result<Option<Vec<u8>>, LinkError> {
        Ok(None)
    }
    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError> {
        Ok(None)
    }
    fn detach(&mut self) {}
}

fn message(response: &Response<'_>) -> Vec<u8> {
    let mut bytes = [0; 512];
    let length = frame::encode_message(response, &mut bytes).unwrap();
    bytes[..length].to_vec()
}

fn answer(header: Header, response: &Response<'_>) -> (Header, Vec<u8>) {
    let kind = Kind::Response;
    (Header { kind, ..header }, message(response))
}

/// Greets; everything else is up to the test.
fn greets(
    mut then: impl FnMut(Header, &[u8]) -> Vec<(Header, Vec<u8>)> + Send + 'static,
) -> impl FnMut(Header, &[u8]) -> Vec<(Header, Vec<u8>)> + Send + 'static {
    move |header, payload| match frame::decode_message(payload) {
        Ok(Request::Hello { .. }) => vec![answer(header, &Response::Hello { version: 1 })],
        _ => then(header, payload),
    }
}

#[test]
fn the_same_bytes_are_sent_again_and_only_so_often() {
    let (mut conversation, sent) = scripted(greets(|_, _| Vec::new()));
    conversation.hello().unwrap();
    sent.lock().unwrap().clear();
    let error = conversation.seal().unwrap_err();
    assert!(
        matches!(
            error,
            SessionError::Silent {
                call: "Seal",
                attempts: 4
            }
        ),
        "{error:?}"
    );
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 4);
    for again in &sent[1..] {
        assert_eq!(again[0], 0, "a zero ends what was half received");
        assert_eq!(again[1..], sent[0]);
    }
}

#[test]
fn an_answer_to_another_request_is_passed_over() {
    let (mut conversation, _) = scripted(greets(|header, _| {
        let before = Header {
            sequence: header.sequence - 1,
            ..header
        };
        let refused = Response::Refused(keyline_protocol::message::Refusal::Malformed);
        vec![answer(before, &refused), answer(header, &Response::Done)]
    }));
    conversation.hello().unwrap();
    conversation.seal().unwrap();
}

#[test]
fn answers_that_are_all_out_of_sequence_are_refused() {
    let (mut conversation, _) = scripted(greets(|header, _| {
        let later = Header {
            sequence: header.sequence + 1,
            ..header
        };
        vec![answer(later, &Response::Done)]
    }));
    conversation.hello().unwrap();
    let error = conversation.seal().unwrap_err();
    let SessionError::OutOfSequence { expected, got, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(got, expected + 1);
}

#[test]
fn an_answer_of_another_kind_is_refused_with_both_names() {
    let (mut conversation, _) = scripted(greets(|header, _| {
        vec![answer(header, &Response::Hello { version: 1 })]
    }));
    conversation.hello().unwrap();
    assert_eq!(
        conversation.seal().unwrap_err().to_string(),
        "expected Done in answer to Seal, got Hello"
    );
}

#[test]
fn an_answer_that_is_none_is_refused() {
    for payload in [vec![], vec![0xff; 40], {
        let mut trailing = message(&Response::Done);
        trailing.push(0);
        trailing
    }] {
        let (mut conversation, _) = scripted(greets(move |header, _| {
            let kind = Kind::Response;
            vec![(Header { kind, ..header }, payload.clone())]
        }));
        conversation.hello().unwrap();
        let error = conversation.seal().unwrap_err();
        assert!(matches!(error, SessionError::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn a_version_that_was_not_offered_is_refused() {
    let (mut conversation, _) =
        scripted(|header, _| vec![answer(header, &Response::Hello { version: 9 })]);
    let error = conversation.hello().unwrap_err();
    assert!(
        matches!(error, SessionError::Version { got: 9, .. }),
        "{error:?}"
    );
}

#[test]
fn a_busy_frame_holds_the_call_and_its_answer_ends_it() {
    let (mut conversation, sent) = scripted(greets(|header, _| {
        let kind = Kind::Busy;
        let busy = (Header { kind, ..header }, 60_000_u32.to_le_bytes().to_vec());
        vec![busy.clone(), busy, answer(header, &Response::Done)]
    }));
    conversation.hello().unwrap();
    sent.lock().unwrap().clear();
    conversation.seal().unwrap();
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[test]
fn a_session_key_off_the_curve_opens_no_session() {
    let (mut conversation, _) = scripted(greets(|header, _| {
        let unit = Point {
            x: [1; 32],
            y: [1; 32],
        };
        vec![answer(header, &Response::SessionOpened { unit })]
    }));
    conversation.hello().unwrap();
    let error = conversation
        .open_session(DeviceId::from_words(Platform::Nrf51822, 1, 2))
        .unwrap_err();
    assert!(matches!(error, SessionError::InvalidPoint), "{error:?}");
    assert_eq!(conversation.session_hash(), None);
}

#[test]
fn secrets_are_not_sent_without_a_session() {
    let (mut conversation, sent) = scripted(greets(|_, _| Vec::new()));
    conversation.hello().unwrap();
    sent.lock().unwrap().clear();
    let error = conversation
        .import_key(Algorithm::P256, &[7; 32], [0; 32])
        .unwrap_err();
    assert!(matches!(error, SessionError::NoSession { .. }), "{error:?}");
    let content = keyline_protocol::record::RecordContent {
        product: [0; 16],
        key_policy: keyline_protocol::identity::KeyPolicy::OnDevice,
        lock_policy: keyline_protocol::identity::LockPolicy::Open,
        cloud_key: &[1],
        cloud_address: "a:1",
        authority: None,
        credentials: Some(b"hunter2"),
    };
    let error = conversation.inject(content).unwrap_err();
    assert!(matches!(error, SessionError::NoSession { .. }), "{error:?}");
    assert!(sent.lock().unwrap().is_empty());
}
