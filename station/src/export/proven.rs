//! What a unit's proof says, read back from the transcript that was signed.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy};

/// The domain of a proof, with its closing zero (`keyline_protocol::transcript::ProofTranscript`).
const DOMAIN: &[u8] = b"keyline/proof/v1\0";

/// How many fields a proof has.
const FIELDS: usize = 19;

/// The parts of a proof that a row shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProvenFields {
    pub(super) algorithm: Algorithm,
    pub(super) made: KeyPolicy,
    pub(super) key_policy: KeyPolicy,
    pub(super) public_key: Vec<u8>,
    pub(super) record_digest: Vec<u8>,
    pub(super) agent_digest: Vec<u8>,
    pub(super) lock_policy: LockPolicy,
}

/// Reads a transcript; `None` where it is no proof of version 1.
pub(super) fn read(transcript: &[u8]) -> Option<ProvenFields> {
    let mut rest = transcript.strip_prefix(DOMAIN)?;
    let mut fields = Vec::with_capacity(FIELDS);
    while !rest.is_empty() && fields.len() <= FIELDS {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, after) = after.split_at_checked(length)?;
        fields.push(field);
        rest = after;
    }
    if fields.len() != FIELDS {
        return None;
    }
    let code = |index: usize| match fields.get(index) {
        Some(&[code]) => Some(*code),
        _ => None,
    };
    let bytes = |index: usize| fields.get(index).map(|field| field.to_vec());
    // The order of the fields is that of `ProofTranscript::write`.
    Some(ProvenFields {
        algorithm: Algorithm::from_code(code(1)?)?,
        made: KeyPolicy::from_code(code(2)?)?,
        key_policy: KeyPolicy::from_code(code(3)?)?,
        public_key: bytes(10)?,
        record_digest: bytes(14)?,
        agent_digest: bytes(15)?,
        lock_policy: LockPolicy::from_code(code(16)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyline_protocol::identity::{DeviceId, Platform};
    use keyline_protocol::transcript::ProofTranscript;

    #[test]
    fn what_was_signed_is_read_back() {
        let transcript = ProofTranscript {
            version: 1,
            algorithm: Algorithm::Rsa2048,
            made: KeyPolicy::Station,
            key_policy: KeyPolicy::Existing,
            nonce: &[1; 32],
            device_id: DeviceId::from_bytes([2; 12]),
            platform: Platform::Nrf52840,
            product: &[3; 16],
            order: &[4; 16],
            run: &[5; 16],
            public_key: b"public key",
            cloud_key_fingerprint: &[6; 32],
            cloud_address: "cloud.example:1",
            record_sequence: 7,
            record_digest: &[8; 32],
            agent_digest: &[9; 32],
            lock_policy: LockPolicy::ReadBack,
            session_hash: None,
            station: &[10; 16],
        };
        let mut bytes = Vec::new();
        transcript.write(|part| bytes.extend_from_slice(part));
        let expected = ProvenFields {
            algorithm: Algorithm::Rsa2048,
            made: KeyPolicy::Station,
            key_policy: KeyPolicy::Existing,
            public_key: b"public key".to_vec(),
            record_digest: vec![8; 32],
            agent_digest: vec![9; 32],
            lock_policy: LockPolicy::ReadBack,
        };
        assert_eq!(read(&bytes), Some(expected));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
        bytes.extend_from_slice(&[0; 4]);
        assert_eq!(read(&bytes), None);
    }
}
