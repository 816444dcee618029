//! Cosignatures and notes with several keys, as C2SP `signed-note` and `tlog-cosignature` say it.

use std::path::Path;
use std::process::Command;

use keyline_station::audit::{
    AuditError, Checkpoint, CosignatureSigner, NoteSignature, SignedNote, VerifierKey, WitnessKey,
};
use proptest::prelude::*;

use crate::log::{Log, LogKey, witness, witness_key};

/// The note of `tlog-cosignature`: its keys are not published, its bytes are.
const SPECIFIED: &str = "example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
";

#[test]
fn the_specified_note_is_read_and_written_byte_for_byte() {
    let note = SignedNote::parse(SPECIFIED).unwrap();
    assert_eq!(note.to_string(), SPECIFIED);
    let checkpoint = Checkpoint::parse(&note.text).unwrap();
    assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size, 20_852_163);
    let cosignature = &note.signatures[1];
    assert_eq!(cosignature.name, "witness.example.com/w1");
    // The time of the specification's example message.
    assert_eq!(cosignature.signature[..8], 1_679_315_147_u64.to_be_bytes());
    assert_eq!(cosignature.signature.len(), 8 + 64);
}

#[test]
fn the_specified_key_verifies_the_specified_example() {
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let parsed = VerifierKey::parse(key).unwrap();
    assert_eq!(parsed.to_string(), key);
    SignedNote::parse(note).unwrap().verify(&parsed).unwrap();
    // It signs notes; it is no witness's.
    assert!(WitnessKey::parse(key).is_err());
}

#[test]
fn a_key_that_is_another_type_has_another_id_or_no_name_is_refused() {
    let key = witness_key("witness.example/w1");
    let text = key.to_string();
    assert_eq!(WitnessKey::parse(&text).unwrap(), key);
    assert!(VerifierKey::parse(&text).is_err());
    let (name, rest) = text.split_once('+').unwrap();
    let (id, material) = rest.split_once('+').unwrap();
    assert_eq!(id, format!("{:08x}", key.key_id()));
    for bad in [
        String::new(),
        name.to_owned(),
        format!("{name}+{id}"),
        format!("+{id}+{material}"),
        format!("{name}+{}+{material}", id.to_uppercase()),
        format!("{name}+{:08x}+{material}", key.key_id() ^ 1),
        format!("other+{id}+{material}"),
        format!("{name} +{id}+{material}"),
        format!("{name}+{id}+{material}="),
        format!("{name}+{id}+{}", &material[..40]),
        format!("{name}+{id}+{material}\n"),
    ] {
        // An upper-case id that has no letters is the same id.
        if bad != text {
            assert!(WitnessKey::parse(&bad).is_err(), "{bad:?}");
        }
    }
    for bad in [
        "",
        "a b",
        "a\u{a0}b",
        "a\u{3000}b",
        "a+b",
        "a\tb",
        "a\u{1}b",
    ] {
        assert!(WitnessKey::new(bad, &key.public_key()).is_err(), "{bad:?}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        assert!(CosignatureSigner::generate(&path, bad).is_err(), "{bad:?}");
        assert!(!path.exists(), "a key for nobody was made");
    }
}

fn cosigned(log: &Log, size: u64, lines: &[NoteSignature]) -> SignedNote {
    let mut note = SignedNote::parse(&log.note(size)).unwrap();
    note.signatures.extend_from_slice(lines);
    SignedNote::parse(&note.to_string()).unwrap()
}

#[test]
fn a_cosignature_verifies_and_the_latest_of_several_counts() {
    let log = Log::new("log.example/1", 7);
    let signer = witness("witness.example/w1");
    let text = log.checkpoint(7).text();
    let [early, late] = [1_800_000_000, 1_800_000_100].map(|time| signer.cosign(&text, time));
    for lines in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
        let found = signer.key().verify(&cosigned(&log, 7, &lines)).unwrap();
        assert_eq!((found.time_s, &found.line), (1_800_000_100, &late));
    }
    let none = cosigned(&log, 7, &[]);
    assert!(matches!(
        signer.key().verify(&none),
        Err(AuditError::NotSigned { .. })
    ));
    // One good line does not make up for a broken one.
    let mut broken = early;
    broken.signature[20] ^= 1;
    let note = cosigned(&log, 7, &[late, broken]);
    assert!(matches!(
        signer.key().verify(&note),
        Err(AuditError::BadSignature { .. })
    ));
}

#[test]
fn a_cosignature_is_bound_to_time_text_and_type() {
    let log = Log::new("log.example/1", 9);
    let signer = witness("witness.example/w1");
    let good = signer.cosign(&log.checkpoint(8).text(), 1_800_000_000);
    let refused = |line: NoteSignature, size| {
        matches!(
            signer.key().verify(&cosigned(&log, size, &[line])),
            Err(AuditError::BadSignature { .. })
        )
    };
    assert!(!refused(good.clone(), 8));
    assert!(refused(good.clone(), 9), "another text");
    let mut other_time = good.clone();
    other_time.signature[7] ^= 1;
    assert!(refused(other_time, 8));
    let mut short = good.clone();
    short.signature.truncate(7);
    assert!(refused(short, 8), "no whole time");
    let mut long = good.clone();
    long.signature.push(0);
    assert!(refused(long, 8));
    // A time past 2^63 - 1 is none, even where the signature is right; the signer never makes one.
    let latest = signer.cosign(&log.checkpoint(8).text(), u64::MAX);
    assert_eq!(latest.signature[..8], (u64::MAX >> 1).to_be_bytes());
    // A plain signature by the same key material is no cosignature.
    let plain = VerifierKey::new("witness.example/w1", &signer.key().public_key()).unwrap();
    assert_ne!(plain.key_id(), signer.key().key_id());
    let note = cosigned(&log, 8, &[good]);
    assert!(matches!(
        note.verify(&plain),
        Err(AuditError::NotSigned { .. })
    ));
}

/// Checks the message, the signature and the key's encoding with OpenSSL.
#[test]
fn a_foreign_implementation_accepts_a_cosignature() {
    let directory = tempfile::tempdir().unwrap();
    let key_file = directory.path().join("key.pem");
    let signer = CosignatureSigner::generate(&key_file, "witness.example/w1").unwrap();
    let text = "log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let line = signer.cosign(text, 1_800_000_000);
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes);
    write(
        "message",
        format!("cosignature/v1\ntime 1800000000\n{text}").as_bytes(),
    )
    .unwrap();
    write("signature", &line.signature[8..]).unwrap();
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410, 4) is this prefix and the key.
    let prefix = hex::decode("302a300506032b6570032100").unwrap();
    write(
        "key.der",
        &[prefix, signer.key().public_key().to_vec()].concat(),
    )
    .unwrap();
    let arguments =
        "pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der -in message -sigfile signature";
    assert!(openssl(directory.path(), arguments));
    write("message", b"another message").unwrap();
    assert!(!openssl(directory.path(), arguments));
}

fn openssl(directory: &Path, arguments: &str) -> bool {
    Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .expect("these tests need openssl (Debian: apt-get install openssl)")
        .status
        .success()
}

#[test]
fn any_of_a_logs_keys_signs_for_it_and_a_broken_line_by_any_is_malformed() {
    let origin = "log.example/1";
    let log = Log::new(origin, 5);
    let log_key: &LogKey = &log.key;
    let (new_key, stranger) = (LogKey::new(origin), LogKey::new(origin));
    let keys = [log.key.key.clone(), new_key.key.clone()];
    let checkpoint = log.checkpoint(5);
    let by = |signers: &[&LogKey]| {
        let mut note = signers[0].sign(&checkpoint);
        for signer in &signers[1..] {
            note.signatures.extend(signer.sign(&checkpoint).signatures);
        }
        note
    };
    let read = |note: &SignedNote| Checkpoint::verify_any(&note.to_string(), &keys);
    for signers in [
        &[log_key][..],
        &[&new_key],
        &[log_key, &new_key],
        &[&stranger, &new_key],
    ] {
        assert_eq!(read(&by(signers)).unwrap(), checkpoint);
    }
    let unknown = read(&by(&[&stranger])).unwrap_err();
    assert!(matches!(&unknown, AuditError::NotSignedByAny { keys } if keys.len() == 2));
    assert!(Checkpoint::verify_any(&log.note(5), &[]).is_err());
    for broken in 0..2 {
        let mut note = by(&[log_key, &new_key]);
        note.signatures[broken].signature[0] ^= 1;
        let refused = read(&note);
        assert!(matches!(refused, Err(AuditError::BadSignature { .. })));
        // Somebody who knows only the other key can't tell, and may accept it.
        let other = &keys[1 - broken];
        assert!(Checkpoint::verify(&note.to_string(), other).is_ok());
    }
    // A second line by one key that does not verify counts, even behind one that does.
    let mut twice = by(&[log_key, log_key]);
    assert!(read(&twice).is_ok());
    twice.signatures[1].signature[0] ^= 1;
    assert!(matches!(read(&twice), Err(AuditError::BadSignature { .. })));
    // Another log's key that signed this log's checkpoint says nothing for it.
    let other_log = LogKey::new("log.example/2");
    let note = by(&[&other_log]).to_string();
    let refused = Checkpoint::verify_any(&note, std::slice::from_ref(&other_log.key));
    assert!(matches!(refused, Err(AuditError::OtherLog { .. })));
}

#[test]
fn notes_that_others_refuse_are_refused() {
    let log = Log::new("log.example/1", 3);
    let good = log.note(3);
    let line = good.lines().last().unwrap();
    let text = "log.example/1\n3\nroot\n";
    let with = |line: &str| format!("{text}\n{line}\n");
    let (name, bytes) = line.rsplit_once(' ').unwrap();
    assert!(SignedNote::parse(&with(line)).is_ok());
    for bad in [
        with(&line.replace('\u{2014}', "-")),
        with(&line.replace('\u{2014}', "\u{2014} ")),
        with(&format!("{name}+x {bytes}")),
        with(&format!("{name}\u{a0}x {bytes}")),
        with(&format!("\u{2014}  {bytes}")),
        with(&format!("{name}  {bytes}")),
        with(&format!("{name} {bytes} ")),
        with(&format!("{name} {bytes}\r")),
        with(&format!("{name} AAAAAA==")),
        with(&format!("{name} AAA=")),
        with(&format!("{name} {}", &bytes[..bytes.len() - 1])),
        with(&format!("{line}\n")),
        format!("{text}\n{line}"),
        format!("{text}{line}\n"),
        format!("{text}\u{0}\n{line}\n"),
        format!("{text}\t\n{line}\n"),
        text.to_owned(),
        String::new(),
    ] {
        assert!(SignedNote::parse(&bad).is_err(), "{bad:?}");
    }
    // Sixteen signatures of nearly 5 kB have to be accepted; there is a limit somewhere.
    let large = NoteSignature {
        name: "pq.example".to_owned(),
        key_id: 7,
        signature: vec![9; 4_900],
    };
    let mut note = SignedNote::parse(&good).unwrap();
    note.signatures.extend(vec![large; 15]);
    assert!(Checkpoint::verify(&note.to_string(), &log.key.key).is_ok());
    note.signatures.extend(note.signatures.clone());
    assert!(SignedNote::parse(&note.to_string()).is_err(), "too long");
    let small = note.signatures[0].clone();
    note.signatures = vec![small; 129];
    assert!(SignedNote::parse(&note.to_string()).is_err(), "too many");
}

proptest! {
    /// No text makes the reader panic, and what it accepts it writes back as the same bytes.
    #[test]
    fn any_text_is_refused_or_comes_back(text in "(\u{2014} )?[a-z+ \n\u{2014}\u{a0}=AQ]{0,60}\n\n(\u{2014} [a-z]{1,3} [A-Za-z0-9+/]{8}\n){0,3}") {
        if let Ok(note) = SignedNote::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
            prop_assert!(note.text.ends_with('\n') && !note.signatures.is_empty());
        }
    }

    #[test]
    fn every_time_and_text_that_is_cosigned_verifies(time_s in 0..=u64::MAX >> 1, size in 0_u64..9) {
        let log = Log::new("log.example/1", 8);
        let size = size.min(8);
        let signer = witness("witness.example/w1");
        let line = signer.cosign(&log.checkpoint(size).text(), time_s);
        let found = signer.key().verify(&cosigned(&log, size, &[line])).unwrap();
        prop_assert_eq!(found.time_s, time_s);
    }
}
