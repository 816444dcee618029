//! The body of `add-checkpoint`, as the log's side writes it and the witness's reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Refusal;
use crate::audit::Hash;

/// The most consistency proof lines in a request: enough for any tree of up to 2^63 leaves.
pub const PROOF_LINES_MAX: usize = 63;

/// What is asked of a witness.
///
/// ```text
/// old 20852014
/// PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
///
/// example.com/behind-the-sofa
/// 20852163
/// CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
///
/// — example.com/behind-the-sofa Az3grlgtzPIC…
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint that the witness is believed to have cosigned last; 0 for none.
    pub old_size: u64,
    /// The RFC 6962 consistency proof from there.
    pub proof: Vec<Hash>,
    /// The new checkpoint, a signed note. Nothing of it was checked.
    pub note: String,
}

impl AddCheckpoint {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] with what was expected and what came.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Refusal::malformed("a body in UTF-8", &error.to_string()))?;
        let expected = "an old size, proof lines, an empty line and a checkpoint";
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| Refusal::malformed(expected, "no empty line"))?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(decimal)
            .ok_or_else(|| {
                Refusal::malformed("`old SIZE`, a decimal without leading zeros", head)
            })?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_LINES_MAX {
                return Err(Refusal::malformed("at most 63 proof lines", "more"));
            }
            let hash = BASE64.decode(line).ok();
            let hash = hash.and_then(|bytes| bytes.try_into().ok());
            let expected = "a proof line of 32 bytes in base64";
            proof.push(hash.ok_or_else(|| Refusal::malformed(expected, line))?);
        }
        Ok(Self {
            old_size,
            proof,
            note: note.to_owned(),
        })
    }
}

impl std::fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(formatter, "{}", BASE64.encode(hash))?;
        }
        write!(formatter, "\n{}", self.note)
    }
}

/// A size as ASCII decimal: no sign, no leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let parsed: u64 = text.parse().ok()?;
    (parsed.to_string() == text).then_some(parsed)
}
