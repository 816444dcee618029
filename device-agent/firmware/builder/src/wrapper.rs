//! Stands between cargo and the compiler, so that no path and no version of cargo reaches an image.
//!
//! cargo gives each crate a `-C metadata` that is hashed from, among other things, cargo's own version and the path of a crate that
//! lies outside the workspace, as the agent does. It becomes part of every symbol's name and so of their order. A crate's name and
//! version say as much here: the lock file has each only once for the chip.

use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};

/// Set where cargo is to run this program in the compiler's place.
pub(crate) const VARIABLE: &str = "KEYLINE_FIRMWARE_WRAPPER";

/// Runs the compiler if cargo called this program as its wrapper; `None` if it did not.
pub(crate) fn run_as_wrapper() -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next()?;
    let name = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let status = Command::new(&compiler)
        .args(arguments.map(|argument| with_plain_metadata(argument, &name, &version)))
        .env_remove(VARIABLE)
        .status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: could not start {}: {error}", compiler.display());
            ExitCode::FAILURE
        }
    })
}

fn with_plain_metadata(argument: OsString, name: &str, version: &str) -> OsString {
    if argument
        .as_encoded_bytes()
        .starts_with(OsStr::new("metadata=").as_encoded_bytes())
    {
        format!("metadata={name}-{version}").into()
    } else {
        argument
    }
}

#[cfg(test)]
mod tests {
    use super::with_plain_metadata;

    #[test]
    fn only_the_metadata_is_replaced() {
        let replace = |argument: &str| with_plain_metadata(argument.into(), "agent", "0.1.0");
        assert_eq!(replace("metadata=0123456789abcdef"), "metadata=agent-0.1.0");
        assert_eq!(replace("extra-filename=-0123"), "extra-filename=-0123");
        assert_eq!(
            replace("--emit=dep-info,metadata"),
            "--emit=dep-info,metadata"
        );
    }
}
