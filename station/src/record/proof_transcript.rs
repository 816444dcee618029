//! Reads back what a unit signed: the bytes of a proof's transcript, as they lie in the evidence.

use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::transcript::ProofTranscript;

/// What stands before the fields (`keyline_protocol::transcript`).
const DOMAIN: &[u8] = b"keyline/proof/v1\0";

/// The fields of a transcript, and nothing but what writes the very same bytes again; `None` for anything else.
#[must_use]
pub fn parse_proof_transcript(bytes: &[u8]) -> Option<ProofTranscript<'_>> {
    let mut rest = bytes.strip_prefix(DOMAIN)?;
    let mut field = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, after) = after.split_at_checked(length)?;
        rest = after;
        Some(field)
    };
    let transcript = ProofTranscript {
        version: u16::from_be_bytes(field()?.try_into().ok()?),
        algorithm: Algorithm::from_code(code(field()?)?)?,
        made: KeyPolicy::from_code(code(field()?)?)?,
        key_policy: KeyPolicy::from_code(code(field()?)?)?,
        nonce: field()?.try_into().ok()?,
        device_id: DeviceId::from_bytes(field()?.try_into().ok()?),
        platform: platform(code(field()?)?)?,
        product: field()?.try_into().ok()?,
        order: field()?.try_into().ok()?,
        run: field()?.try_into().ok()?,
        public_key: field()?,
        cloud_key_fingerprint: field()?.try_into().ok()?,
        cloud_address: str::from_utf8(field()?).ok()?,
        record_sequence: u32::from_be_bytes(field()?.try_into().ok()?),
        record_digest: field()?.try_into().ok()?,
        agent_digest: field()?.try_into().ok()?,
        lock_policy: LockPolicy::from_code(code(field()?)?)?,
        session_hash: match field()? {
            [] => None,
            hash => Some(hash.try_into().ok()?),
        },
        station: field()?.try_into().ok()?,
    };
    let mut again = Vec::with_capacity(bytes.len());
    transcript.write(|part| again.extend_from_slice(part));
    (again == bytes).then_some(transcript)
}

fn code(field: &[u8]) -> Option<u8> {
    match field {
        [code] => Some(*code),
        _ => None,
    }
}

fn platform(code: u8) -> Option<Platform> {
    Platform::ALL
        .into_iter()
        .find(|platform| platform.code() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(transcript: &ProofTranscript<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        transcript.write(|part| bytes.extend_from_slice(part));
        bytes
    }

    const TRANSCRIPT: ProofTranscript<'static> = ProofTranscript {
        version: 1,
        algorithm: Algorithm::P256,
        made: KeyPolicy::OnDevice,
        key_policy: KeyPolicy::OnDevice,
        nonce: &[1; 32],
        device_id: DeviceId::from_bytes([2; 12]),
        platform: Platform::Nrf51822,
        product: &[3; 16],
        order: &[4; 16],
        run: &[5; 16],
        public_key: &[6; 91],
        cloud_key_fingerprint: &[7; 32],
        cloud_address: "cloud.example:5684",
        record_sequence: 8,
        record_digest: &[9; 32],
        agent_digest: &[10; 32],
        lock_policy: LockPolicy::Sealed,
        session_hash: None,
        station: &[11; 16],
    };

    #[test]
    fn what_was_signed_reads_back() {
        for session_hash in [None, Some(&[12; 32])] {
            let transcript = ProofTranscript {
                session_hash,
                ..TRANSCRIPT
            };
            let bytes = written(&transcript);
            assert_eq!(parse_proof_transcript(&bytes), Some(transcript));
        }
    }

    #[test]
    fn nothing_else_does() {
        let bytes = written(&TRANSCRIPT);
        for length in 0..bytes.len() {
            assert_eq!(parse_proof_transcript(&bytes[..length]), None, "{length}");
        }
        assert_eq!(parse_proof_transcript(&[&bytes[..], &[0]].concat()), None);
        let mut other = bytes;
        other[8] = b'q';
        assert_eq!(parse_proof_transcript(&other), None, "another domain");
    }
}
