//! The identity record as bytes in flash. Another layout would be another file like this one.
//!
//! | offset | size | field |
//! |-|-|-|
//! | 0 | 8 | what every area begins with ([`crate::flash`]) |
//! | 8 | 4 | sequence |
//! | 12 | 4 | key policy, lock policy, [`HAS_AUTHORITY`] and [`HAS_CREDENTIALS`], one byte `ff` |
//! | 16 | 8 | lengths: cloud key, cloud address, credentials, two bytes `ff` |
//! | 24 | 16 | product |
//! | 40 | 64 | the authority's key, x and y; `ff` without one |
//! | 104 | 32 | the salt of the credentials; `ff` without any |
//! | 136 | 32 | SHA-256 of the area's bytes from 0 to 136 and from 172 on, as far as it was written |
//! | 168 | 4 | the commit word, written last |
//! | 172 | | cloud key (SPKI DER), cloud address (UTF-8), credentials, each filled up with `ff` to a word |
//!
//! The cloud key and the address stand there as they are, so that the application, or anybody with a debugger, finds them.

use keyline_protocol::identity::{Digest, KeyPolicy, LockPolicy};
use keyline_protocol::message::{Point, RecordSummary, Refusal};
use keyline_protocol::record::{
    self, CLOUD_ADDRESS_LENGTH_MAX, CLOUD_KEY_LENGTH_MAX, CREDENTIALS_LENGTH_MAX, RecordContent,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::flash::{self, COMMITTED, Writer};
use crate::hal::Hal;

const SEQUENCE: u32 = 8;
const PRODUCT: usize = 24;
const AUTHORITY: usize = 40;
const SALT: usize = 104;
const DIGEST: u32 = 136;
const COMMIT: u32 = 168;
const BODY: u32 = 172;

/// The bytes before the digest.
const HEAD_LENGTH: usize = DIGEST as usize;

/// The bytes that every area begins with.
const PREFIX_LENGTH: usize = flash::PREFIX_LENGTH as usize;

/// Flag: the record names an authority.
const HAS_AUTHORITY: u8 = 1;

/// Flag: the record has credentials.
const HAS_CREDENTIALS: u8 = 2;

/// The longest body in bytes; every part but the last begins at a word. A buffer of this length takes any record.
pub(crate) const BODY_LENGTH_MAX: usize =
    CLOUD_KEY_LENGTH_MAX + CLOUD_ADDRESS_LENGTH_MAX + CREDENTIALS_LENGTH_MAX;

const _: () = assert!(
    CLOUD_KEY_LENGTH_MAX.is_multiple_of(4) && CLOUD_ADDRESS_LENGTH_MAX.is_multiple_of(4),
    "the limits are whole words, so filling up adds nothing to them"
);

/// A record as it was read from flash.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    /// What it holds.
    pub(crate) content: RecordContent<'a>,
    /// What the station is told of it.
    pub(crate) summary: RecordSummary,
}

/// Where the parts of a body lie and how long they are.
#[derive(Clone, Copy)]
struct Lengths {
    cloud_key: u16,
    cloud_address: u16,
    credentials: u16,
}

impl Lengths {
    fn padded(self) -> [u32; 3] {
        [self.cloud_key, self.cloud_address, self.credentials]
            .map(|length| u32::from(length).next_multiple_of(4))
    }

    fn body(self) -> u32 {
        self.padded().iter().sum()
    }

    fn are_in_limits(self) -> bool {
        (1..=CLOUD_KEY_LENGTH_MAX).contains(&usize::from(self.cloud_key))
            && (1..=CLOUD_ADDRESS_LENGTH_MAX).contains(&usize::from(self.cloud_address))
            && usize::from(self.credentials) <= CREDENTIALS_LENGTH_MAX
    }
}

/// Whether the area's commit word is written.
pub(crate) fn is_committed(hal: &impl Hal, area: u32) -> bool {
    flash::word(hal, area + COMMIT) == COMMITTED
}

/// Reads the record in `area`, its body into `body`; `None` unless it was committed and reads as it was written.
pub(crate) fn read<'a>(hal: &impl Hal, area: u32, body: &'a mut [u8]) -> Option<Record<'a>> {
    if !is_committed(hal, area) {
        return None;
    }
    let mut head_bytes = Zeroizing::new([0; HEAD_LENGTH]);
    hal.read(area, &mut *head_bytes);
    let head: &[u8] = &*head_bytes;
    let lengths = Lengths {
        cloud_key: half_word(head, 16)?,
        cloud_address: half_word(head, 18)?,
        credentials: half_word(head, 20)?,
    };
    if !lengths.are_in_limits() || !is_intact(hal, area, lengths) {
        return None;
    }
    let [key_room, address_room, _] = lengths.padded();
    let (key, rest) = body.split_at_mut_checked(key_room as usize)?;
    let (address, rest) = rest.split_at_mut_checked(address_room as usize)?;
    let key = key.get_mut(..usize::from(lengths.cloud_key))?;
    let address = address.get_mut(..usize::from(lengths.cloud_address))?;
    let credentials = rest.get_mut(..usize::from(lengths.credentials))?;
    hal.read(area + BODY, key);
    hal.read(area + BODY + key_room, address);
    hal.read(area + BODY + key_room + address_room, credentials);

    let [key_policy, lock_policy, flags] = *chunk::<3>(head, 12)?;
    let content = RecordContent {
        product: *chunk(head, PRODUCT)?,
        key_policy: KeyPolicy::from_code(key_policy)?,
        lock_policy: LockPolicy::from_code(lock_policy)?,
        cloud_key: key,
        cloud_address: core::str::from_utf8(address).ok()?,
        authority: (flags & HAS_AUTHORITY != 0).then_some(Point {
            x: *chunk(head, AUTHORITY)?,
            y: *chunk(head, AUTHORITY + 32)?,
        }),
        credentials: (flags & HAS_CREDENTIALS != 0).then_some(credentials),
    };
    let sequence = u32::from_le_bytes(*chunk(head, SEQUENCE as usize)?);
    let summary = summary(&content, sequence, chunk(head, SALT)?);
    Some(Record { content, summary })
}

/// What the station is told of a record.
fn summary(content: &RecordContent<'_>, sequence: u32, salt: &[u8; 32]) -> RecordSummary {
    let credentials_commitment = content.credentials.map_or([0; 32], |credentials| {
        record::credentials_commitment(salt, credentials)
    });
    RecordSummary {
        sequence,
        digest: record::digest(content, sequence, &credentials_commitment),
        credentials_commitment,
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    chunk(bytes, at).map(|half| u16::from_le_bytes(*half))
}

fn digest(hal: &impl Hal, area: u32, lengths: Lengths) -> Digest {
    let mut hash = Sha256::new();
    flash::hash(hal, &mut hash, area, DIGEST);
    flash::hash(hal, &mut hash, area + BODY, lengths.body());
    hash.finalize().into()
}

fn is_intact(hal: &impl Hal, area: u32, lengths: Lengths) -> bool {
    let mut written = [0; 32];
    hal.read(area + DIGEST, &mut written);
    digest(hal, area, lengths) == written
}

/// Writes a record, within its limits, to a blank area: everything but its commit word.
///
/// # Errors
/// [`Refusal::Flash`].
pub(crate) fn write(
    hal: &mut impl Hal,
    area: u32,
    content: &RecordContent<'_>,
    sequence: u32,
    salt: &[u8; 32],
) -> Result<RecordSummary, Refusal> {
    let credentials = content.credentials.unwrap_or(&[]);
    // The limits, which the caller checked, are far below what a half-word holds.
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap_or(u16::MAX);
    let lengths = Lengths {
        cloud_key: length(content.cloud_key),
        cloud_address: length(content.cloud_address.as_bytes()),
        credentials: length(credentials),
    };
    flash::write_prefix(hal, area)?;
    let mut writer = Writer::new(area + SEQUENCE);
    writer.put(
        hal,
        &head(content, sequence, salt, lengths)[PREFIX_LENGTH..],
    )?;
    let mut writer = Writer::new(area + BODY);
    for part in [
        content.cloud_key,
        content.cloud_address.as_bytes(),
        credentials,
    ] {
        writer.put(hal, part)?;
        writer.align(hal)?;
    }
    // Each word was read back as it was written, so what is digested here is what was meant.
    let digest = digest(hal, area, lengths);
    Writer::new(area + DIGEST).put(hal, &digest)?;
    Ok(summary(content, sequence, salt))
}

/// The bytes before the digest; those that every area begins with are left blank.
fn head(
    content: &RecordContent<'_>,
    sequence: u32,
    salt: &[u8; 32],
    lengths: Lengths,
) -> Zeroizing<[u8; HEAD_LENGTH]> {
    let mut flags = 0;
    let mut head = Zeroizing::new([0xff; HEAD_LENGTH]);
    if let Some(authority) = &content.authority {
        flags |= HAS_AUTHORITY;
        head[AUTHORITY..SALT].copy_from_slice(&authority.to_sec1()[1..]);
    }
    if content.credentials.is_some() {
        flags |= HAS_CREDENTIALS;
        head[SALT..].copy_from_slice(salt);
    }
    head[8..12].copy_from_slice(&sequence.to_le_bytes());
    head[12..15].copy_from_slice(&[content.key_policy.code(), content.lock_policy.code(), flags]);
    head[16..18].copy_from_slice(&lengths.cloud_key.to_le_bytes());
    head[18..20].copy_from_slice(&lengths.cloud_address.to_le_bytes());
    head[20..22].copy_from_slice(&lengths.credentials.to_le_bytes());
    head[PRODUCT..AUTHORITY].copy_from_slice(&content.product);
    head
}

/// Writes the commit word: from here on the area holds a record.
///
/// # Errors
/// [`Refusal::Flash`].
pub(crate) fn commit(hal: &mut impl Hal, area: u32) -> Result<(), Refusal> {
    flash::write_word(hal, area + COMMIT, COMMITTED)
}
