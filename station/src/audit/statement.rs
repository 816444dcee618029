//! What the log's key signs that is no checkpoint: manifests and reports, as signed notes.
//!
//! A key that signs two kinds of text must never let one pass for the other. A checkpoint's first line is the log's name, which has no
//! white space (C2SP `signed-note`: so that it can stand in a signature line); a statement's first line must have a space.

use super::{AuditError, Checkpoint, CheckpointSigners, SignedNote, VerifierKey};

/// The longest text, in bytes: with its signatures it is still a note that is read.
const TEXT_LENGTH_MAX: usize = 60_000;

/// Signs a text that is no checkpoint with each of `keys`.
///
/// # Errors
/// [`AuditError::Format`] where the text is empty or too long, does not end its last line, has control characters, or could be taken
/// for a checkpoint; whatever the signers return.
pub async fn sign_statement(
    text: String,
    keys: &[VerifierKey],
    signers: &CheckpointSigners,
) -> Result<SignedNote, AuditError> {
    check(&text)?;
    signers.sign_text(text, keys).await
}

fn check(text: &str) -> Result<(), AuditError> {
    let refuse = |expected| Err(AuditError::format(expected, text));
    let first = text.split('\n').next().unwrap_or_default();
    if !first.trim().contains(' ') || Checkpoint::parse(text).is_ok() {
        return refuse("a text that can't be taken for a checkpoint: its first line with a space");
    }
    if text.len() > TEXT_LENGTH_MAX || !text.ends_with('\n') {
        return refuse("a text of at most 60000 bytes that ends its last line");
    }
    // A blank line ends the text of a note: what follows it would be read as signatures.
    if text.contains("\n\n") || text.contains(|c: char| c.is_control() && c != '\n') {
        return refuse("a text without blank lines and control characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn nothing_that_could_be_a_checkpoint_is_signed_as_a_statement() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for text in [
            format!("station-1\n0\n{root}\n"),
            format!("station 1\n0\n{root}\n"),
            " station-1\nrest\n".to_owned(),
            "station-1 \nrest\n".to_owned(),
            "\nkeyline export v1\n".to_owned(),
            "station-1\nkeyline export v1\n".to_owned(),
            String::new(),
            "keyline export v1".to_owned(),
            "keyline export v1\n\nmore\n".to_owned(),
            "keyline export v1\r\n".to_owned(),
            format!("keyline export v1\n{}\n", "x".repeat(60_000)),
        ] {
            assert!(check(&text).is_err(), "{text:?}");
        }
        assert!(check("keyline export v1\norigin station-1\n").is_ok());
    }
}
