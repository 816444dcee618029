//! Reads a policy line by line.

use super::build::{Builder, Refused};
use super::{AuditError, POLICY_LENGTH_MAX, TrustPolicy, shown};
use crate::audit::{VerifierKey, WitnessKey};

/// See [`TrustPolicy::parse`].
pub(super) fn parse(text: &[u8]) -> Result<TrustPolicy, AuditError> {
    let refuse = |line, (expected, got): Refused| AuditError::Policy {
        line,
        expected,
        got: cut(&got),
    };
    if text.len() > POLICY_LENGTH_MAX {
        let got = format!("{} bytes", text.len());
        return Err(refuse(None, ("a policy of at most 131072 bytes", got)));
    }
    let lines = match text.strip_suffix(b"\n") {
        Some(lines) => lines,
        None if text.is_empty() => return Err(refuse(None, ("a policy", "nothing".to_owned()))),
        None => {
            let last = text.split(|octet| *octet == b'\n').count();
            let got = "the end of the file".to_owned();
            return Err(refuse(Some(last), ("a newline at the end", got)));
        }
    };
    let mut builder = Builder::default();
    for (index, line) in lines.split(|octet| *octet == b'\n').enumerate() {
        read_line(&mut builder, line).map_err(|why| refuse(Some(index + 1), why))?;
    }
    builder.finish().map_err(|why| refuse(None, why))
}

fn read_line(builder: &mut Builder, line: &[u8]) -> Result<(), Refused> {
    let allowed = |octet: &u8| matches!(octet, b'\t' | 0x20..=0x7e | 0x80..=0xff);
    if let Some(octet) = line.iter().find(|octet| !allowed(octet)) {
        let expected = "no control characters but tabs and newlines";
        return Err((expected, format!("octet {octet:#04x}")));
    }
    let words: Vec<&[u8]> = line
        .split(|octet| matches!(octet, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
        .collect();
    match words.as_slice() {
        [] => Ok(()),
        [first, ..] if first.starts_with(b"#") => Ok(()),
        [b"log", key] => builder.log(log_key(key)?, None),
        [b"log", key, url] => builder.log(log_key(key)?, Some(url)),
        [b"witness", name, key] => builder.witness(name, witness_key(key)?, None),
        [b"witness", name, key, url] => builder.witness(name, witness_key(key)?, Some(url)),
        [b"group", name, b"all", members @ ..] => builder.group(name, Some, members),
        [b"group", name, b"any", members @ ..] => builder.group(name, |_| Some(1), members),
        [b"group", name, k, members @ ..] => builder.group(name, |_| decimal(k), members),
        [b"quorum", name] => builder.quorum(name),
        _ => {
            let expected = "`log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME…`, `quorum NAME`, or a comment";
            Err((expected, format!("{:?}", shown(line))))
        }
    }
}

fn decimal(word: &[u8]) -> Option<usize> {
    let word = std::str::from_utf8(word).ok()?;
    let parsed: usize = word.parse().ok()?;
    (parsed.to_string() == word).then_some(parsed)
}

fn log_key(word: &[u8]) -> Result<VerifierKey, Refused> {
    let expected = "a log's verifier key NAME+KEYID+KEY of type Ed25519 (0x01)";
    key(word, VerifierKey::parse, expected)
}

fn witness_key(word: &[u8]) -> Result<WitnessKey, Refused> {
    let expected = "a witness's verifier key NAME+KEYID+KEY of type Ed25519 cosignature (0x04)";
    key(word, WitnessKey::parse, expected)
}

fn key<K>(
    word: &[u8],
    parse: impl FnOnce(&str) -> Result<K, AuditError>,
    expected: &'static str,
) -> Result<K, Refused> {
    let refuse = || (expected, format!("{:?}", shown(word)));
    let text = std::str::from_utf8(word).map_err(|_| refuse())?;
    parse(text).map_err(|error| match error {
        AuditError::KeyId { .. } => (expected, format!("{:?}: {error}", shown(word))),
        _ => refuse(),
    })
}

/// At most 200 characters of what came.
fn cut(got: &str) -> String {
    let mut text: String = got.chars().take(200).collect();
    if text.len() < got.len() {
        text.push('…');
    }
    text
}
