//! Clients that send too much, too slowly, or nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::log::Log;
use crate::process::{Store, exchange, step};

const ORIGIN: &str = "log.example/1";

#[test]
fn a_body_that_is_too_long_is_refused_announced_or_not() {
    let log = Log::new(ORIGIN, 3);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let head = "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\n";
    // Announced: refused before any of it came.
    for length in ["135169", "1000000000000", "9223372036854775807"] {
        let request = format!("{head}content-length: {length}\r\n\r\n");
        let reply = exchange(&witness.address, request.as_bytes()).unwrap();
        assert_eq!(reply.status, 413, "{length}: {reply:?}");
        assert!(reply.body.contains("135168"), "{reply:?}");
    }
    // Not announced: refused when it is too long.
    let mut stream = TcpStream::connect(&witness.address).unwrap();
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..40 {
        request.extend_from_slice(b"1000\r\n");
        request.extend_from_slice(&[b'x'; 4096]);
        request.extend_from_slice(b"\r\n");
    }
    // The server may close in the middle of it.
    let _ = stream.write_all(&request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
    // As long as it may be: read, and no checkpoint.
    let longest = format!("old 0\n\n{}", "x".repeat(135_161));
    witness.refused(&longest, 400);
    // The longest head.
    let request = format!("{head}x: {}\r\n\r\n", "y".repeat(100_000));
    let reply = exchange(&witness.address, request.as_bytes());
    assert!(reply.is_err() || reply.unwrap().status == 431);
    witness.good(&log, 0, 3);
}

#[test]
fn slow_silent_and_broken_clients_keep_nobody_from_being_served() {
    let log = Log::new(ORIGIN, 60);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let body = step(&log, 0, 60);
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut open = Vec::new();
    for n in 0..60 {
        let mut stream = TcpStream::connect(&witness.address).unwrap();
        match n % 3 {
            // Nothing at all, half a head, half a body.
            0 => {}
            1 => stream.write_all(&head.as_bytes()[..20]).unwrap(),
            _ => stream
                .write_all(&[head.as_bytes(), &body.as_bytes()[..30]].concat())
                .unwrap(),
        }
        open.push(stream);
    }
    for size in 1..20 {
        witness.good(&log, size - 1, size);
    }
    // Half a body is waited for, so long and no longer.
    let mut slow = open.pop().unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    // A body that breaks off is no request.
    let mut stream = TcpStream::connect(&witness.address).unwrap();
    stream
        .write_all(&[head.as_bytes(), &body.as_bytes()[..30]].concat())
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    assert_eq!(witness.latest(&log), Some(log.checkpoint(19)));
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let log = Log::new(ORIGIN, 5);
    let witness = Store::new(&[&log.key.key]).serve_and_keep();
    let mut stream = TcpStream::connect(&witness.address).unwrap();
    for size in 1..=5 {
        let body = step(&log, size - 1, size);
        let last = if size == 5 {
            "connection: close\r\n"
        } else {
            ""
        };
        let request = format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\n{last}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 5, "{answers}");
}

#[test]
fn a_stop_ends_well_and_finishes_what_is_in_hand() {
    let log = Log::new(ORIGIN, 5);
    let store = Store::new(&[&log.key.key]);
    let witness = store.serve();
    witness.good(&log, 0, 5);
    // An idle connection does not hold it up.
    let _idle = TcpStream::connect(&witness.address).unwrap();
    let (code, last) = witness.stop();
    assert_eq!(code, 0, "{last}");
    assert_eq!(last["event"], "summary");
    assert_eq!(last["exit_code"], 0);
    assert_eq!(store.serve().latest(&log), Some(log.checkpoint(5)));
}
