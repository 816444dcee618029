//! Single-bit changes of what a verifier is given.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::case::Case;
use crate::log::Log;

/// Changed indexes stay below 2 to the power of this: those of a log of 100,000 leaves. Higher ones are out of any of these trees.
const INDEX_BITS: u32 = 17;

/// Where the bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The checkpoint: origin, size and root.
    Text,
    /// What follows it in the note, from the blank line on.
    Signatures,
    /// A leaf.
    Leaf,
    /// Its index.
    Index,
    /// Its proof.
    InclusionPath,
    /// The whole note of the older of two checkpoints.
    OldNote,
    /// The proof that it is.
    ConsistencyPath,
}

/// A change outside of what is signed, past which lenient software may look. The station itself refuses both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlooked {
    /// The last base64 digit of the signature has bits that stand for nothing: the signature's bytes are the same.
    PaddingBits,
    /// The name in the signature line, where the key is looked up by its id alone.
    SignerName,
}

/// A question with one bit changed.
pub(crate) struct Change {
    /// What was changed, for people.
    pub(crate) what: String,
    /// The question, which is true of the log.
    pub(crate) original: Case,
    /// The question with the changed bit.
    pub(crate) changed: Case,
}

impl Change {
    /// Draws a question about the log and changes a bit in this part of it.
    pub(crate) fn draw(random: &mut SmallRng, log: &Log, part: Part) -> Self {
        let (old, size) = draw_sizes(random, log);
        let index = random.random_range(0..size);
        let original = match part {
            Part::Text | Part::Signatures => log.checkpoint_case(size),
            Part::Leaf | Part::Index | Part::InclusionPath => log.inclusion_case(index, size),
            Part::OldNote | Part::ConsistencyPath => log.consistency_case(old, size),
        };
        let mut changed = original.clone();
        let bit = flip(random, part, &mut changed);
        let what = format!("bit {bit} of {part:?}: {}", changed.to_line());
        Self {
            what,
            original,
            changed,
        }
    }

    /// Which known leniency this change may meet.
    pub(crate) fn overlooked(&self) -> Option<Overlooked> {
        match (&self.original, &self.changed) {
            (Case::Checkpoint { note: before }, Case::Checkpoint { note: after }) => {
                overlooked(before, after)
            }
            (
                Case::Consistency {
                    old_note: before, ..
                },
                Case::Consistency {
                    old_note: after, ..
                },
            ) => overlooked(before, after),
            _ => None,
        }
    }

    /// Whether all notes in the changed question are still text.
    pub(crate) fn is_text(&self) -> bool {
        match &self.changed {
            Case::Checkpoint { note } | Case::Consistency { old_note: note, .. } => {
                str::from_utf8(note).is_ok()
            }
            Case::Inclusion { .. } => true,
        }
    }
}

/// Two sizes with a checkpoint, the smaller one first; so both proofs have a hash at least.
fn draw_sizes(random: &mut SmallRng, log: &Log) -> (u64, u64) {
    let sizes: Vec<u64> = log.sizes().collect();
    let newer = random.random_range(1..sizes.len());
    let older = random.random_range(0..newer);
    (sizes[older], sizes[newer])
}

fn flip(random: &mut SmallRng, part: Part, case: &mut Case) -> usize {
    match (part, case) {
        (Part::Text, Case::Checkpoint { note }) => {
            let text = blank_line(note);
            flip_in(random, &mut note[..text])
        }
        (Part::Signatures, Case::Checkpoint { note }) => {
            let text = blank_line(note);
            flip_in(random, &mut note[text..])
        }
        (Part::OldNote, Case::Consistency { old_note, .. }) => flip_in(random, old_note),
        (Part::Leaf, Case::Inclusion { leaf, .. }) => flip_in(random, leaf),
        (Part::Index, Case::Inclusion { index, .. }) => {
            let bit = random.random_range(0..INDEX_BITS);
            *index ^= 1 << bit;
            bit as usize
        }
        (Part::InclusionPath, Case::Inclusion { path, .. })
        | (Part::ConsistencyPath, Case::Consistency { path, .. }) => {
            flip_in(random, path.as_flattened_mut())
        }
        (part, case) => panic!("no {part:?} in {case:?}"),
    }
}

fn flip_in(random: &mut SmallRng, bytes: &mut [u8]) -> usize {
    let bit = random.random_range(0..bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bit
}

/// Where the blank line of a note begins: the length of its text.
fn blank_line(note: &[u8]) -> usize {
    let pairs = note.windows(2).position(|pair| pair == b"\n\n");
    pairs.unwrap() + 1
}

fn overlooked(before: &[u8], after: &[u8]) -> Option<Overlooked> {
    let text = blank_line(before);
    if before == after || after.get(..=text) != before.get(..=text) {
        return None;
    }
    let (before, after) = (words(&before[text + 1..])?, words(&after[text + 1..])?);
    let (same_name, same_base64) = (before[1] == after[1], before[2] == after[2]);
    if before[0] != after[0] {
        None
    } else if same_name && signature(before[2]) == signature(after[2]) {
        Some(Overlooked::PaddingBits)
    } else {
        (same_base64 && is_word(after[1])).then_some(Overlooked::SignerName)
    }
}

/// Dash, name and base64 of the only signature line.
fn words(line: &[u8]) -> Option<[&str; 3]> {
    let line = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    line.split(' ').collect::<Vec<_>>().try_into().ok()
}

/// Without what Python takes for a space: U+001C to U+001F are for it, and not for Rust.
fn is_word(name: &str) -> bool {
    !name.contains(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

fn signature(base64: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&ALPHABET, config).decode(base64).ok()
}
