//! A payload that the station sent, as the unit reads it.
#![no_main]

use keyline_protocol::frame::{PAYLOAD_LENGTH_MAX, decode_message, encode_message};
use keyline_protocol::message::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = decode_message::<Request<'_>>(bytes) {
        let mut out = [0; 2 * PAYLOAD_LENGTH_MAX];
        if let Ok(length) = encode_message(&request, &mut out) {
            assert!(decode_message::<Request<'_>>(&out[..length]) == Ok(request));
        }
    }
});
