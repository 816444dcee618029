//! Reads the transcript of a proof back from the bytes that were signed (`keyline_protocol::transcript`).

use keyline_protocol::identity::{Algorithm, Digest, Id};

/// The domain of a proof and the zero byte that ends it.
const DOMAIN: &[u8] = b"keyline/proof/v1\0";

/// The fields of a proof, as they were signed. Enumerations that are only compared stay codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProofFields<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_policy: u8,
    pub(super) nonce: &'a [u8; 32],
    pub(super) device_id: &'a [u8; 12],
    pub(super) platform: u8,
    pub(super) product: &'a Id,
    pub(super) order: &'a Id,
    pub(super) run: &'a Id,
    pub(super) public_key: &'a [u8],
    pub(super) cloud_key_fingerprint: &'a Digest,
    pub(super) cloud_address: &'a [u8],
    pub(super) record_digest: &'a Digest,
    pub(super) agent_digest: &'a Digest,
    pub(super) lock_policy: u8,
    pub(super) station: &'a Id,
}

/// Takes the next field: a 4-byte big-endian length and so many bytes.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(field)
}

fn exact<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    field(rest)?.try_into().ok()
}

fn code(rest: &mut &[u8]) -> Option<u8> {
    exact::<1>(rest).map(|code| code[0])
}

impl<'a> ProofFields<'a> {
    /// Reads a transcript; `None` where the bytes are none, or more than one.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = &mut bytes.strip_prefix(DOMAIN)?;
        let _version = exact::<2>(rest)?;
        let algorithm = Algorithm::from_code(code(rest)?)?;
        let _made = code(rest)?;
        let key_policy = code(rest)?;
        let nonce = exact(rest)?;
        let device_id = exact(rest)?;
        let platform = code(rest)?;
        let (product, order, run) = (exact(rest)?, exact(rest)?, exact(rest)?);
        let public_key = field(rest)?;
        let cloud_key_fingerprint = exact(rest)?;
        let cloud_address = field(rest)?;
        let _record_sequence = exact::<4>(rest)?;
        let record_digest = exact(rest)?;
        let agent_digest = exact(rest)?;
        let lock_policy = code(rest)?;
        let session_hash = field(rest)?;
        let station = exact(rest)?;
        let whole = rest.is_empty() && matches!(session_hash.len(), 0 | 32);
        whole.then_some(Self {
            algorithm,
            key_policy,
            nonce,
            device_id,
            platform,
            product,
            order,
            run,
            public_key,
            cloud_key_fingerprint,
            cloud_address,
            record_digest,
            agent_digest,
            lock_policy,
            station,
        })
    }
}

#[cfg(test)]
mod tests {
    use keyline_protocol::identity::{DeviceId, KeyPolicy, LockPolicy, Platform};
    use keyline_protocol::transcript::ProofTranscript;

    use super::*;

    #[test]
    fn reads_what_was_signed_and_nothing_else() {
        let transcript = ProofTranscript {
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
            cloud_address: "cloud.example:8883",
            record_sequence: 8,
            record_digest: &[9; 32],
            agent_digest: &[10; 32],
            lock_policy: LockPolicy::Sealed,
            session_hash: None,
            station: &[11; 16],
        };
        let mut bytes = Vec::new();
        transcript.write(|part| bytes.extend_from_slice(part));
        let fields = ProofFields::parse(&bytes).unwrap();
        assert_eq!((fields.nonce, fields.device_id), (&[1; 32], &[2; 12]));
        assert_eq!((fields.product, fields.order), (&[3; 16], &[4; 16]));
        assert_eq!((fields.run, fields.station), (&[5; 16], &[11; 16]));
        assert_eq!(fields.public_key, [6; 91]);
        assert_eq!(fields.cloud_address, b"cloud.example:8883");
        assert_eq!(fields.record_digest, &[9; 32]);
        assert_eq!(fields.lock_policy, LockPolicy::Sealed.code());
        for length in 0..bytes.len() {
            assert_eq!(ProofFields::parse(&bytes[..length]), None, "{length}");
        }
        bytes.push(0);
        assert_eq!(ProofFields::parse(&bytes), None);
    }
}
