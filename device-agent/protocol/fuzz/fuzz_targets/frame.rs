//! Bytes from the other side, into the receiver of frames. What comes out encodes to a frame that comes out again.
#![no_main]

use keyline_protocol::frame::{ENCODED_LENGTH_MAX, Receiver, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut receiver = Receiver::new();
    for byte in bytes {
        let Some(Ok(frame)) = receiver.push(*byte) else { continue };
        let (header, payload) = (frame.header, frame.payload.to_vec());
        let mut out = [0; ENCODED_LENGTH_MAX];
        let length = encode(header, &payload, &mut out).expect("what was received can be sent");
        let mut again = Receiver::new();
        let received = out[..length].iter().find_map(|byte| again.push(*byte).map(|result| result.map(|frame| frame.payload.to_vec())));
        assert_eq!(received, Some(Ok(payload)));
    }
});
