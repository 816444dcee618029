//! The verifiers, none of them written here, and how each is asked.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use crate::case::{Case, leaf_line};
use crate::change::{Overlooked, Part};
use crate::log::Log;
use crate::python;
use crate::rust;

/// Nothing where the verifier accepts, else what it says.
pub(crate) type Verdict = Result<(), String>;

/// A verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Crates `signed_note` and `tlog_tiles`: ports of Go's packages.
    TlogTiles,
    /// Crate `ct-merkle`, of another descent. It knows no notes: `signed_note` opens them.
    CtMerkle,
    /// Go's `golang.org/x/mod/sumdb/note` and `tlog`, with which Go verifies its module log: the reference.
    Go,
    /// Python's `sigstore`: notes and inclusion proofs as it verifies them for Rekor. It knows no consistency proofs.
    Sigstore,
    /// Python's `pymerkle`: trees and proofs of its own. It knows no notes: `sigstore` opens them.
    Pymerkle,
}

impl Judge {
    pub(crate) const ALL: [Self; 5] = [
        Self::TlogTiles,
        Self::CtMerkle,
        Self::Go,
        Self::Sigstore,
        Self::Pymerkle,
    ];

    /// Whether the question can be put to this verifier.
    pub(crate) fn knows(self, case: &Case) -> bool {
        match case {
            Case::Checkpoint { .. } => self != Self::CtMerkle,
            Case::Inclusion { .. } => true,
            Case::Consistency { .. } => self != Self::Sigstore,
        }
    }

    /// The parts of a question in which a changed bit is this verifier's to find.
    pub(crate) const fn parts(self) -> &'static [Part] {
        use Part::{ConsistencyPath, InclusionPath, Index, Leaf, OldNote, Signatures, Text};
        match self {
            Self::TlogTiles | Self::Go => &[
                Text,
                Signatures,
                Leaf,
                Index,
                InclusionPath,
                OldNote,
                ConsistencyPath,
            ],
            Self::CtMerkle => &[Leaf, Index, InclusionPath, ConsistencyPath],
            Self::Sigstore => &[Text, Signatures, Leaf, Index, InclusionPath],
            Self::Pymerkle => &[Leaf, Index, InclusionPath],
        }
    }

    /// Whether this verifier is known to look past such a change.
    pub(crate) fn overlooks(self, change: Overlooked) -> bool {
        match change {
            // The crates decode base64 strictly, like the station.
            Overlooked::PaddingBits => matches!(self, Self::Go | Self::Sigstore | Self::Pymerkle),
            Overlooked::SignerName => matches!(self, Self::Sigstore | Self::Pymerkle),
        }
    }

    /// Whether notes reach this verifier as text, not as bytes.
    pub(crate) const fn reads_text(self) -> bool {
        matches!(self, Self::Sigstore | Self::Pymerkle)
    }

    /// Tells the verifier the log's key and leaves, asks all questions and gives a verdict for each, in order.
    pub(crate) fn verdicts(self, log: &Log, cases: impl Iterator<Item = Case>) -> Vec<Verdict> {
        let key = log.key.to_string();
        match self {
            Self::TlogTiles => rust::tlog_tiles(log, cases),
            Self::CtMerkle => rust::ct_merkle(log, cases),
            Self::Go => asked(go().arg(key), log, cases),
            Self::Sigstore => asked(python("sigstore").arg(key), log, cases),
            Self::Pymerkle => asked(python("pymerkle").arg(key), log, cases),
        }
    }
}

fn here(file: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.join("tests/foreign_log").join(file)
}

/// Debian's Go with Debian's sources of `x/mod`: nothing is downloaded.
fn go() -> Command {
    let mut command = Command::new("go");
    command
        .arg("run")
        .arg(here("verify.go"))
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOFLAGS", "")
        .env("GOCACHE", here("../../../target/foreign-go"));
    command
}

/// The verifier in Python, by this package.
fn python(package: &str) -> Command {
    let mut command = python::python();
    command.arg(here("verify.py")).arg(package);
    command
}

/// Writes the leaves and the questions to a program and reads its verdicts, both at once.
fn asked(command: &mut Command, log: &Log, cases: impl Iterator<Item = Case>) -> Vec<Verdict> {
    let mut program = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} (make test installs it): {error}"));
    let questions = program.stdin.take().unwrap();
    let answers = BufReader::new(program.stdout.take().unwrap());
    let verdicts = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            answers
                .lines()
                .map(|line| verdict(&line.unwrap()))
                .collect()
        });
        // A program that ends early has said why on stderr; its exit code tells below.
        let _ended = write_all(questions, log, cases);
        reader.join().unwrap()
    });
    let status = program.wait().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    verdicts
}

fn write_all(
    questions: ChildStdin,
    log: &Log,
    cases: impl Iterator<Item = Case>,
) -> std::io::Result<()> {
    let mut questions = BufWriter::new(questions);
    for leaf in &log.leaves {
        questions.write_all(leaf_line(leaf).as_bytes())?;
    }
    for case in cases {
        questions.write_all(case.to_line().as_bytes())?;
    }
    questions.flush()
}

fn verdict(line: &str) -> Verdict {
    match line.split_once("refused: ") {
        _ if line == "accepted" => Ok(()),
        Some(("", why)) => Err(why.to_owned()),
        _ => panic!("no verdict: {line}"),
    }
}
