//! Notes, checkpoints, verifier keys and leaves.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::FutureExt as _;
use keyline_station::audit::{
    Checkpoint, CheckpointSigner, FileSigner, Leaf, NoteSignature, SignedNote, VerifierKey,
};
use proptest::collection::vec;
use proptest::prelude::*;
use signed_note::{Note, StandardVerifier, VerifierList};

use crate::edit::{Edit, edit};

const ORIGIN: &str = "factory.example/station-7";

/// One key for all cases.
static KEY: LazyLock<(CheckpointSigner, VerifierKey)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let signer = FileSigner::generate(&directory.path().join("audit.pem")).unwrap();
    let signer = CheckpointSigner::File(signer);
    let key = signer.verifier_key(ORIGIN).unwrap();
    (signer, key)
});

/// The note that the key makes of any text: the only place where these tests sign.
fn signed(text: &str) -> Vec<u8> {
    let (signer, key) = &*KEY;
    let signature = NoteSignature {
        name: key.name().to_owned(),
        key_id: key.key_id(),
        signature: signer
            .sign(text.as_bytes())
            .now_or_never()
            .unwrap()
            .unwrap()
            .to_vec(),
    };
    let note = SignedNote {
        text: text.to_owned(),
        signatures: vec![signature],
    };
    note.to_string().into_bytes()
}

/// Lines as they stand in a checkpoint, and some that must not.
fn text() -> impl Strategy<Value = String> {
    let origin = prop_oneof![4 => Just(ORIGIN.to_owned()), 1 => "[^\n]{0,6}"];
    let size = prop_oneof![
        4 => any::<u64>().prop_map(|size| size.to_string()),
        1 => "[+-]?0{0,2}[0-9]{0,21} ?",
    ];
    let root = prop_oneof![
        6 => vec(any::<u8>(), 32..=32),
        1 => vec(any::<u8>(), 30..=34),
    ];
    let root = root.prop_map(|root| BASE64.encode(root));
    let more = prop_oneof![4 => vec("[^\n]{1,9}", 0..2), 1 => vec("[^\n]{0,9}", 0..3)];
    (origin, size, root, more).prop_map(|(origin, size, root, more)| {
        let mut lines = vec![origin, size, root];
        lines.extend(more);
        lines.join("\n") + "\n"
    })
}

/// Signature lines of unknown keys.
fn signature_line() -> impl Strategy<Value = String> {
    let name = prop_oneof![4 => "[a-z./]{1,9}", 1 => "[^\n]{0,6}"];
    let bytes = prop_oneof![4 => vec(any::<u8>(), 5..80), 1 => vec(any::<u8>(), 0..8)];
    (name, bytes).prop_map(|(name, bytes)| format!("\u{2014} {name} {}\n", BASE64.encode(bytes)))
}

/// A note of the key, cosigned by others, with some changes.
fn note() -> impl Strategy<Value = Vec<u8>> {
    let cosigned =
        (text(), vec(signature_line(), 0..3), any::<bool>()).prop_map(|(text, lines, first)| {
            let mut note = signed(&text);
            if first {
                let at = note.len() - signature_length(&note);
                note.splice(at..at, lines.concat().into_bytes());
            } else {
                note.extend(lines.concat().into_bytes());
            }
            note
        });
    let edits = prop_oneof![2 => Just(Vec::new()), 3 => vec(edit(), 1..4)];
    (cosigned, edits).prop_map(|(note, edits)| edited(note, &edits))
}

fn signature_length(note: &[u8]) -> usize {
    let mut lines = note.split_inclusive(|byte| *byte == b'\n');
    lines.next_back().unwrap().len()
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        edit.apply(&mut bytes);
    }
    bytes
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes)
    ]
}

/// Why the station may refuse a note that others read: it shows notes on terminals and in reports, and DEL and the control characters
/// from U+0080 on can do harm there.
fn stricter_about_notes(note: &str) -> bool {
    note.contains(|c: char| c.is_control() && c != '\n')
}

/// Why the station may refuse a checkpoint that others accept: it takes one for a log's only if its origin is the key's name, and it
/// verifies each line by the key where others look at the first alone.
fn stricter_about_checkpoints(note: &str) -> bool {
    let (_, key) = &*KEY;
    let by_key = format!("\n\u{2014} {} ", key.name());
    stricter_about_notes(note)
        || !note.starts_with(&format!("{ORIGIN}\n"))
        || note.matches(&by_key).count() > 1
}

fn same_note(bytes: &[u8]) {
    let ours = str::from_utf8(bytes).ok().map(SignedNote::parse);
    let theirs = Note::from_bytes(bytes);
    let Some(Ok(ours)) = ours else {
        if theirs.is_ok() {
            let note = str::from_utf8(bytes).unwrap();
            assert!(stricter_about_notes(note), "{note:?}");
        }
        return;
    };
    assert_eq!(ours.to_string().as_bytes(), bytes);
    let theirs = theirs.unwrap_or_else(|error| panic!("{error}: {ours:?}"));
    assert_eq!(theirs.text(), ours.text.as_bytes());
    assert_eq!(theirs.to_bytes(), bytes);
}

/// What others read in a note that the key has signed.
fn foreign_checkpoint(note: &[u8]) -> Option<tlog_tiles::Checkpoint> {
    let verifier = StandardVerifier::new(&KEY.1.to_string()).unwrap();
    let note = Note::from_bytes(note).ok()?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)]))
        .ok()?;
    tlog_tiles::Checkpoint::from_bytes(note.text()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_note_is_read_as_others_read_it(note in note()) {
        same_note(&note);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any_bytes()) {
        same_note(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _no_panic = VerifierKey::parse(&text).is_ok();
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert!(text.starts_with(&checkpoint.text()));
        }
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode(), bytes);
        }
    }

    #[test]
    fn a_checkpoint_is_accepted_where_others_accept_it(note in note()) {
        let ours = str::from_utf8(&note).ok().map(|note| Checkpoint::verify(note, &KEY.1));
        let theirs = foreign_checkpoint(&note);
        match (ours, theirs) {
            (Some(Ok(ours)), Some(theirs)) => {
                prop_assert_eq!(ours.origin, theirs.origin());
                prop_assert_eq!((ours.size, ours.root), (theirs.size(), theirs.hash().0));
            }
            (Some(Ok(ours)), None) => panic!("others refuse it: {ours:?}"),
            (_, Some(theirs)) => {
                let note = str::from_utf8(&note).unwrap();
                prop_assert!(stricter_about_checkpoints(note), "{theirs:?}: {note:?}");
            }
            (_, None) => {}
        }
    }

    #[test]
    fn the_text_of_a_checkpoint_is_read_as_others_read_it(text in text(), edits in vec(edit(), 0..2)) {
        let text = String::from_utf8_lossy(&edited(text.into_bytes(), &edits)).into_owned();
        let ours = Checkpoint::parse(&text);
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}", text);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.text() + theirs.extension(), text);
        }
    }

    #[test]
    fn a_verifier_key_is_read_as_others_read_it(edits in vec(edit(), 0..3)) {
        let text = edited(KEY.1.to_string().into_bytes(), &edits);
        let text = String::from_utf8_lossy(&text);
        let theirs = StandardVerifier::new(&text).is_ok();
        match VerifierKey::parse(&text) {
            Ok(ours) => prop_assert!(theirs && ours.to_string() == text, "{text:?}"),
            // Others take the key id in capitals too: here a key has one spelling.
            Err(_) => prop_assert!(!theirs || text.contains(|c: char| c.is_ascii_uppercase()), "{text:?}"),
        }
    }

    #[test]
    fn a_changed_leaf_is_no_leaf_or_another_one(flips in vec(edit(), 1..3), of_run in any::<Option<[u8; 16]>>(), commitment in any::<[u8; 32]>()) {
        let leaf = Leaf {
            kind: "step-done",
            wall_ms: 1_790_000_000_000,
            monotonic_ms: 77,
            boot_id: [7; 16],
            run: of_run.map(keyline_station::record::RunId::from_bytes),
            device_id: None,
            commitment,
        };
        let bytes = leaf.encode();
        let changed = edited(bytes.clone(), &flips);
        if let Ok(read) = Leaf::decode(&changed) {
            prop_assert_eq!(read.encode(), changed.clone());
            prop_assert_eq!(read == leaf, changed == bytes);
        }
    }
}

#[test]
fn what_a_note_must_not_have_is_refused() {
    let lines = [
        // A name with a space that isn't U+0020, which other implementations refuse too.
        "\u{2014} a\u{a0}b AAAAAAE=\n",
        "\u{2014} a\u{2028}b AAAAAAE=\n",
        // A key id that signs nothing.
        "\u{2014} a AAAAAA==\n",
        // Bits that stand for nothing: the note would have two spellings.
        "\u{2014} a AAAAAAF=\n",
    ];
    for line in lines {
        let note = format!("text\n\n{line}");
        assert!(SignedNote::parse(&note).is_err(), "{line:?}");
        assert!(Note::from_bytes(note.as_bytes()).is_err(), "{line:?}");
    }
    for name in ["a\u{a0}b", "a\u{7}b"] {
        assert!(KEY.0.verifier_key(name).is_err(), "{name:?}");
    }
}
