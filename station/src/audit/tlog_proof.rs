//! Proof files (C2SP `tlog-proof`): that an entry stands in a log, in one text that is checked offline.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra BASE64                 only where there is extra data
//! index 73894
//! BASE64 …                     the inclusion proof, a hash a line, from the leaf up
//!
//! the checkpoint with its signatures, as it is
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{AuditError, Checkpoint, Hash, SignedNote, leaf_hash, verify_inclusion};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The longest proof that is read, in bytes: its longest note, its longest extra data, and a path.
const PROOF_LENGTH_MAX: usize = 256 * 1024;

/// The most hashes of an inclusion proof: a tree has fewer than 2^64 leaves.
const PATH_LENGTH_MAX: usize = 64;

/// The longest extra data, in bytes.
pub const EXTRA_LENGTH_MAX: usize = 65_536;

/// A proof. Nothing of it is true before [`verify`](Self::verify) says so, and the extra data never is: nobody signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever the writer found useful; at most [`EXTRA_LENGTH_MAX`] bytes, and left out where it is empty.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log, from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The checkpoint, a signed note, as it is.
    pub note: String,
}

impl TlogProof {
    /// Checks that `entry` stands at the index, in the tree of the proof's checkpoint, and gives the checkpoint.
    ///
    /// `check` is given the note and says whose signatures and which log are good enough, for instance
    /// [`Checkpoint::verify`] with the log's key.
    ///
    /// # Errors
    /// Whatever `check` returns, [`AuditError::OutOfTree`] or [`AuditError::ProofMismatch`].
    pub fn verify<E: From<AuditError>>(
        &self,
        entry: &[u8],
        check: impl FnOnce(&str) -> Result<Checkpoint, E>,
    ) -> Result<Checkpoint, E> {
        let checkpoint = check(&self.note)?;
        let (size, root) = (checkpoint.size, &checkpoint.root);
        verify_inclusion(&leaf_hash(entry), self.index, size, root, &self.path)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{HEADER}")?;
        if let Some(extra) = self.extra.as_ref().filter(|extra| !extra.is_empty()) {
            writeln!(formatter, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(formatter, "{}", BASE64.encode(hash))?;
        }
        write!(formatter, "\n{}", self.note)
    }
}

impl FromStr for TlogProof {
    type Err = AuditError;

    /// Reads a proof, and only the one way of writing it. The note must be a checkpoint; its signatures are not verified.
    fn from_str(text: &str) -> Result<Self, AuditError> {
        let refuse = || AuditError::format("a proof: c2sp.org/tlog-proof@v1, index, hashes", text);
        if text.len() > PROOF_LENGTH_MAX {
            return Err(refuse());
        }
        let (head, note) = text.split_once("\n\n").ok_or_else(refuse)?;
        let (extra, index, path) = read_head(head).ok_or_else(refuse)?;
        Checkpoint::parse(&SignedNote::parse(note)?.text)?;
        Ok(Self {
            extra,
            index,
            path,
            note: note.to_owned(),
        })
    }
}

/// The lines before the checkpoint.
fn read_head(head: &str) -> Option<(Option<Vec<u8>>, u64, Vec<Hash>)> {
    let mut lines = head.split('\n');
    if lines.next()? != HEADER {
        return None;
    }
    let mut line = lines.next()?;
    let mut extra = None;
    if let Some(encoded) = line.strip_prefix("extra ") {
        let bytes = BASE64.decode(encoded).ok()?;
        if bytes.is_empty() || bytes.len() > EXTRA_LENGTH_MAX {
            return None;
        }
        extra = Some(bytes);
        line = lines.next()?;
    }
    let digits = line.strip_prefix("index ")?;
    let index: u64 = digits.parse().ok()?;
    if index.to_string() != digits {
        return None;
    }
    let mut path = Vec::new();
    for line in lines {
        if path.len() == PATH_LENGTH_MAX {
            return None;
        }
        path.push(BASE64.decode(line).ok()?.try_into().ok()?);
    }
    Some((extra, index, path))
}
