//! Small changes of bytes.

use proptest::prelude::*;
use proptest::sample::Index;

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    FlipBit(Index),
    Put(Index, Vec<u8>),
    Remove(Index),
    Cut(Index),
    RepeatLine(Index),
}

/// What means something in a note.
const MEANING: [&str; 13] = [
    "\n",
    "\n\n",
    " ",
    "+",
    "=",
    "0",
    "A",
    "\u{2014} ",
    "\u{a0}",
    "\u{85}",
    "\u{7f}",
    "\r",
    "\0",
];

/// What is put in.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::sample::select(&MEANING[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<Index>().prop_map(Edit::FlipBit),
        (any::<Index>(), piece()).prop_map(|(at, piece)| Edit::Put(at, piece)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Cut),
        any::<Index>().prop_map(Edit::RepeatLine),
    ]
}

impl Edit {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::FlipBit(at) => {
                let bit = at.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Self::Put(at, piece) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::RepeatLine(at) => {
                let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                let line = lines[at.index(lines.len())].to_vec();
                bytes.extend(line);
            }
        }
    }
}
