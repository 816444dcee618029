//! Builds the agent's images and their manifest, and checks that they can be reproduced.
//!
//! ```text
//! cargo run -p keyline-firmware-builder -- build       build, and write images/ and its manifest
//! cargo run -p keyline-firmware-builder -- check       build, and compare every byte with images/
//! cargo run -p keyline-firmware-builder -- reproduce   build here and in a copy elsewhere, and compare every byte
//! ```
//!
//! An image depends on the sources, the lock file, the compiler with its library, and the linker; not on where the sources, the
//! registry or the compiler lie, nor on cargo's version: [`wrapper`] sees to that.

mod chips;
mod compare;
mod compile;
mod elf;
mod manifest;
mod toolchain;
mod wrapper;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use compare::Outcome;
use manifest::Manifest;

/// What can go wrong while an image is built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// No such command.
    #[error("expected one of `build`, `check`, `reproduce`, got {0:?}")]
    Usage(Vec<String>),
    /// A file could not be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("could not start {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{program} ended with {status}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// No compiler for the chips.
    #[error("{0}")]
    NoCompiler(String),
    /// What was linked is not what an image must be.
    #[error("{chip}: {what}")]
    Image {
        /// The chip.
        chip: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The ELF file could not be read.
    #[error("the linker's output is no ELF file")]
    Elf(#[from] object::read::Error),
    /// The manifest could not be read or written.
    #[error("the manifest is not what it should be")]
    Manifest(#[from] serde_json::Error),
}

impl BuildError {
    /// Names the file that an error is about.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

fn main() -> ExitCode {
    if let Some(code) = wrapper::run_as_wrapper() {
        return code;
    }
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprint!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, BuildError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let images = firmware.join("images");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["build"] => {
            let built = compile::build(&firmware, &compile::target_directory(&firmware))?;
            built.manifest.print_table();
            built.write(&images)?;
            println!("wrote {}", images.display());
            Ok(ExitCode::SUCCESS)
        }
        ["check"] => {
            let committed = Manifest::read(&images)?;
            let built = match compile::build(&firmware, &compile::target_directory(&firmware)) {
                Ok(built) => built,
                Err(BuildError::NoCompiler(why)) => {
                    return Ok(report(&Outcome::NotComparable(why)));
                }
                Err(error) => return Err(error),
            };
            Ok(report(&compare::with_committed(
                &committed, &images, &built,
            )?))
        }
        ["reproduce"] => {
            let here = compile::build(&firmware, &compile::target_directory(&firmware))?;
            let elsewhere = compare::copy_of_the_tree(&firmware)?;
            let copy = elsewhere.path().join("device-agent/firmware");
            let there = compile::build(&copy, &copy.join("target"))?;
            Ok(report(&compare::two_builds(&here, &there)))
        }
        _ => Err(BuildError::Usage(arguments)),
    }
}

fn report(outcome: &Outcome) -> ExitCode {
    match outcome {
        Outcome::Reproduced => {
            println!("reproduced: every byte is the same");
            ExitCode::SUCCESS
        }
        Outcome::NotComparable(why) => {
            println!("not comparable: {why}");
            ExitCode::SUCCESS
        }
        Outcome::Different(differences) => {
            for difference in differences {
                eprintln!("different: {difference}");
            }
            ExitCode::FAILURE
        }
    }
}
