//! Is the emulator here, and is it one that will do?

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::UnitError;
use super::spawner::WRAPPER;

/// The emulator program that is started when the options name no other.
pub const EMULATOR: &str = "qemu-system-arm";

/// The oldest emulator that this crate was tried with.
const OLDEST: Version = Version { major: 7, minor: 2 };

/// A version of the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// Looks whether emulated units can run here, and says what to install when they can't.
///
/// # Errors
/// [`UnitError::EmulatorMissing`] or [`UnitError::EmulatorUnfit`].
pub fn available() -> Result<Version, UnitError> {
    available_at(Path::new(EMULATOR))
}

/// As [`available`], for an emulator at another path.
///
/// # Errors
/// [`UnitError::EmulatorMissing`] or [`UnitError::EmulatorUnfit`].
pub fn available_at(program: &Path) -> Result<Version, UnitError> {
    first_line(Path::new(WRAPPER), &["--version"])?;
    let line = first_line(program, &["--version"])?;
    match parse(&line) {
        Some(version) if version >= OLDEST => Ok(version),
        _ => Err(UnitError::EmulatorUnfit { found: line }),
    }
}

/// Runs a program and gives the first line of what it printed.
fn first_line(program: &Path, arguments: &[&str]) -> Result<String, UnitError> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| UnitError::EmulatorMissing {
            program: PathBuf::from(program),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Takes the version out of `QEMU emulator version 7.2.22 (Debian …)`.
fn parse(line: &str) -> Option<Version> {
    let number = line
        .strip_prefix("QEMU emulator version ")?
        .split([' ', '-'])
        .next()?;
    let mut parts = number.split('.');
    Some(Version {
        major: parts.next()?.parse().ok()?,
        minor: parts.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_of_debian_and_of_upstream() {
        let debian = parse("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)");
        assert_eq!(debian, Some(Version { major: 7, minor: 2 }));
        let upstream = parse("QEMU emulator version 10.0.0");
        assert_eq!(
            upstream,
            Some(Version {
                major: 10,
                minor: 0
            })
        );
        assert_eq!(parse("GNU bash, version 5.2"), None);
    }

    #[test]
    fn a_missing_emulator_says_what_to_install() {
        let error = available_at(Path::new("/nonexistent/qemu-system-arm")).unwrap_err();
        assert!(error.to_string().contains("apt-get install"), "{error}");
    }
}
