//! What a verifier is asked, in a form that every language reads: a line of JSON with bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use keyline_station::audit::Hash;
use serde_json::{Value, json};

/// One question: is this true of the log whose key the verifier was given? Sizes and roots stand only in the notes, as an auditor
/// gets them.
#[derive(Clone, Debug)]
pub(crate) enum Case {
    /// The checkpoint is the log's, and its root that of the leaves (where the verifier keeps a tree).
    Checkpoint { note: Vec<u8> },
    /// The leaf is at the index of the checkpoint's tree.
    Inclusion {
        note: Vec<u8>,
        leaf: Vec<u8>,
        index: u64,
        path: Vec<Hash>,
    },
    /// The old checkpoint's tree is a prefix of the other's.
    Consistency {
        old_note: Vec<u8>,
        note: Vec<u8>,
        path: Vec<Hash>,
    },
}

impl Case {
    /// The question as a line.
    pub(crate) fn to_line(&self) -> String {
        let value = match self {
            Self::Checkpoint { note } => json!({"kind": "checkpoint", "note": text(note)}),
            Self::Inclusion {
                note,
                leaf,
                index,
                path,
            } => json!({
                "kind": "inclusion",
                "note": text(note),
                "leaf": text(leaf),
                "index": index,
                "path": texts(path),
            }),
            Self::Consistency {
                old_note,
                note,
                path,
            } => json!({
                "kind": "consistency",
                "old_note": text(old_note),
                "note": text(note),
                "path": texts(path),
            }),
        };
        format!("{value}\n")
    }
}

/// The line that tells a verifier the next leaf; it gets no verdict.
pub(crate) fn leaf_line(leaf: &[u8]) -> String {
    format!("{}\n", json!({"kind": "leaf", "leaf": text(leaf)}))
}

fn text(bytes: &[u8]) -> Value {
    BASE64.encode(bytes).into()
}

fn texts(path: &[Hash]) -> Value {
    path.iter().map(|hash| text(hash)).collect()
}
