//! `keyline authority`: makes, shows, signs and verifies what says who may say yes. It needs no station home, so that it works on a machine
//! that is connected to nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::authority_arguments::FilesCommand;
use super::execute::elapsed_ms;
use super::{CommandError, Name, authority_bundle};
use crate::audit::{CheckpointSigner, CheckpointSigners, FileSigner, VerifierKey};
use crate::authority::{
    AcceptedBundle, ActRequest, ApprovedAct, AuthorityError, Bundle, Document, DocumentText,
    RootPolicy, add_signature, merge,
};
use crate::clock::wall_ms;
use crate::event::{AuthorityView, Event, EventSink, Summary};
use crate::exit::ExitCode;
use crate::home::write_private;
use crate::operator::new_operator_id;

/// The longest file that is read, in bytes: a note with as many signatures as it may have.
const FILE_LENGTH_MAX: u64 = 131_072;

/// Does what is wanted.
pub(super) async fn run(
    command: FilesCommand,
    sink: &dyn EventSink,
) -> Result<Summary, CommandError> {
    let begun = Instant::now();
    match command {
        FilesCommand::Key { name, out } => key(name, &out, sink)?,
        FilesCommand::Policy {
            name,
            threshold,
            keys,
            demo,
            previous,
            out,
        } => {
            let keys = keys.iter().map(|key| verifier_key(key));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            let policy = match previous {
                Some(previous) => {
                    RootPolicy::replacing(&read_policy(&previous)?, name, demo, threshold, keys)
                }
                None => RootPolicy::new(name, demo, threshold, keys),
            }?;
            write_text(&out, &policy.to_text(), sink)?;
        }
        FilesCommand::Show { files } => {
            for file in files {
                let document = read_document(&file)?;
                sink.emit(view(&file, &document, None));
            }
        }
        FilesCommand::Bundle(typed) => authority_bundle::make(*typed, sink)?,
        FilesCommand::Sign { file, key } => sign(&file, &key, sink).await?,
        FilesCommand::Merge { first, second, out } => {
            let merged = merge(read_document(&first)?, &read_document(&second)?.note)?;
            write_new(&out, &merged.content())?;
            sink.emit(view(&out, &merged, None));
        }
        FilesCommand::Verify {
            file,
            policy,
            roster,
        } => verify(&file, &policy, roster.as_deref(), sink)?,
    }
    let elapsed_ms = elapsed_ms(begun);
    Ok(Summary::without_units(ExitCode::Success, elapsed_ms))
}

fn key(name: Option<Name>, out: &Path, sink: &dyn EventSink) -> Result<(), CommandError> {
    let name = name.map_or_else(new_operator_id, Into::into);
    let signer = FileSigner::generate(out)
        .map(CheckpointSigner::File)
        .map_err(AuthorityError::Signing)?;
    let key = signer
        .verifier_key(&name)
        .map_err(AuthorityError::Signing)?;
    let public = public_file(out);
    write_new(&public, &format!("{key}\n"))?;
    sink.emit(Event::Notice {
        message: format!(
            "Made a key pair. {} is yours alone: whoever has it signs in your name. Hand out {}, or this line:",
            out.display(),
            public.display(),
        ),
    });
    sink.emit(Event::Document {
        text: format!("{key}\n"),
    });
    Ok(())
}

/// Where the verifier key of a key's file lies.
fn public_file(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

pub(super) fn verifier_key(text: &str) -> Result<VerifierKey, CommandError> {
    VerifierKey::parse(text.trim()).map_err(|error| CommandError::Usage {
        message: error.to_string(),
    })
}

async fn sign(file: &Path, key: &Path, sink: &dyn EventSink) -> Result<(), CommandError> {
    let document = read_document(file)?;
    let signer = FileSigner::open(key)
        .map(CheckpointSigner::File)
        .map_err(AuthorityError::Signing)?;
    let verifier = verifier_key(&read_text(&public_file(key))?)?;
    if verifier.public_key() != signer.public_key() {
        return Err(CommandError::Usage {
            message: format!(
                "expected the public half of {} in {}, got another key",
                key.display(),
                public_file(key).display()
            ),
        });
    }
    let signers = CheckpointSigners::from(signer);
    let (document, added) = add_signature(document, &verifier, &signers).await?;
    if added {
        write_private(file, document.content().as_bytes())?;
    }
    sink.emit(Event::Notice {
        message: if added {
            format!("Signed {} by {}.", file.display(), verifier.name())
        } else {
            format!("{} has signed {} already.", verifier.name(), file.display())
        },
    });
    sink.emit(view(file, &document, None));
    Ok(())
}

fn verify(
    file: &Path,
    policy: &Path,
    roster: Option<&Path>,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let document = read_document(file)?;
    let policy = read_policy(policy)?;
    let now_ms = wall_ms();
    let content = document.content();
    let signed_by = match &document.text {
        DocumentText::Policy(found) if *found == policy => Vec::new(),
        DocumentText::Policy(_) => {
            policy.verify_successor(&content)?;
            policy.verify(&document.note)?
        }
        DocumentText::Bundle(_) => Bundle::verify(&content, &policy, now_ms, None)?
            .signed_by()
            .to_vec(),
        DocumentText::Act(act) => {
            let roster = roster.ok_or_else(|| CommandError::Usage {
                message: "expected the signed roster as well, for an act: --roster FILE".to_owned(),
            })?;
            let roster = accepted_roster(roster, &policy, now_ms)?;
            if act.terms().kind.gives_key() {
                rotation(&content, &roster, now_ms, sink)?
            } else {
                let approved = ApprovedAct::verify(&content, &roster, None, now_ms)?;
                vec![
                    approved.requester().to_owned(),
                    approved.approver().to_owned(),
                ]
            }
        }
    };
    sink.emit(Event::Notice {
        message: format!(
            "{} counts under the root {}.",
            file.display(),
            policy.name()
        ),
    });
    sink.emit(view(file, &document, Some(signed_by)));
    Ok(())
}

/// The two who want a rotation. The new key's signature is not in this file.
fn rotation(
    content: &str,
    roster: &AcceptedBundle,
    now_ms: u64,
    sink: &dyn EventSink,
) -> Result<Vec<String>, CommandError> {
    let request = ActRequest::verify(content, roster, now_ms)?;
    let requester = request.requester().to_owned();
    let Some(approver) = request.approver() else {
        return Err(AuthorityError::NotTwo {
            got: 1,
            signed: vec![requester],
        }
        .into());
    };
    sink.emit(Event::Notice {
        message: "Two people signed it; whether the new key's holder did is checked when the pin is rotated."
            .to_owned(),
    });
    Ok(vec![requester, approver.to_owned()])
}

fn accepted_roster(
    path: &Path,
    policy: &RootPolicy,
    now_ms: u64,
) -> Result<AcceptedBundle, CommandError> {
    let accepted = Bundle::verify(&read_text(path)?, policy, now_ms, None)?;
    accepted.roster()?;
    Ok(accepted)
}

/// Writes what is to be signed, and shows it.
pub(super) fn write_text(out: &Path, text: &str, sink: &dyn EventSink) -> Result<(), CommandError> {
    let document = Document::read(text)?;
    write_new(out, text)?;
    sink.emit(view(out, &document, None));
    Ok(())
}

fn view(file: &Path, document: &Document, verified: Option<Vec<String>>) -> Event {
    Event::Authority(Box::new(AuthorityView::new(file, document, verified)))
}

/// A root policy, signed or not.
pub(super) fn read_policy(path: &Path) -> Result<RootPolicy, CommandError> {
    match read_document(path)?.text {
        DocumentText::Policy(policy) => Ok(policy),
        _ => Err(CommandError::Usage {
            message: format!(
                "expected a root policy in {}, got something else",
                path.display()
            ),
        }),
    }
}

fn read_document(path: &Path) -> Result<Document, CommandError> {
    Ok(Document::read(&read_text(path)?)?)
}

/// Reads a file that must be small.
pub(super) fn read_text(path: &Path) -> Result<String, CommandError> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_LENGTH_MAX + 1).read_to_string(&mut text))
        .map_err(|source| CommandError::Input {
            path: path.to_owned(),
            source,
        })?;
    Ok(text)
}

/// Writes a file where none is yet.
fn write_new(path: &Path, content: &str) -> Result<(), CommandError> {
    use std::io::Write as _;
    std::fs::File::create_new(path)
        .and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        })
        .map_err(|source| CommandError::Output {
            path: path.to_owned(),
            source,
        })
}
