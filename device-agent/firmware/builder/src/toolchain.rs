//! Finds the compiler.
//!
//! The pinned one is Debian's `rustc-web` with `rust-web-src`, because its sources can be had for years.
//! It brings no library for the chips, so `core` and `alloc` are built with the image; and no linker, so that of the toolchain that
//! cargo belongs to is taken, or Debian's `lld-22`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildError;
use crate::chips::CHIPS;
use crate::manifest::Compiler;

/// The commit that the pinned compiler was built from: 1.96.0.
const PINNED_COMMIT: &str = "ac68faa20c58cbccd01ee7208bf3b6e93a7d7f96";

/// A compiler that can build the images.
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// The linker, where the compiler does not find it by itself.
    pub(crate) linker: Option<PathBuf>,
    /// Where the sources of the compiler's library lie, if it is built with the image.
    pub(crate) library: Option<PathBuf>,
    /// What goes into the manifest.
    pub(crate) compiler: Compiler,
}

/// Finds the pinned compiler, else any that has a library for the chips.
pub(crate) fn find() -> Result<Toolchain, BuildError> {
    let candidates = [PathBuf::from("/usr/bin/rustc"), PathBuf::from("rustc")];
    let mut found: Vec<(PathBuf, Compiler)> = Vec::new();
    for rustc in candidates {
        if let Ok(text) = output(&rustc, &["--version", "--verbose"]) {
            let compiler = describe(&text);
            found.push((rustc, compiler));
        }
    }
    for (rustc, compiler) in &found {
        if compiler.commit == PINNED_COMMIT
            && let Some(toolchain) = with_library_sources(rustc, compiler)?
        {
            return Ok(toolchain);
        }
    }
    for (rustc, compiler) in found {
        if has_targets(&rustc) {
            return Ok(Toolchain {
                linker: None,
                library: None,
                compiler,
                rustc,
            });
        }
    }
    Err(BuildError::NoCompiler(format!(
        "expected the compiler of commit {PINNED_COMMIT} with its library's sources (on Debian: apt-get install rustc-web \
         rust-web-src lld-22), or one with the targets of the chips (rustup target add thumbv6m-none-eabi thumbv7em-none-eabihf); got neither"
    )))
}

fn with_library_sources(
    rustc: &Path,
    compiler: &Compiler,
) -> Result<Option<Toolchain>, BuildError> {
    let sysroot = PathBuf::from(output(rustc, &["--print", "sysroot"])?.trim());
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if !library.is_dir() {
        return Ok(None);
    }
    let Some(linker) = find_linker() else {
        return Ok(None);
    };
    let version = output(&linker, &["-flavor", "ld.lld", "--version"])?;
    let linker_version = version
        .split_whitespace()
        .skip_while(|word| *word != "LLD")
        .nth(1);
    Ok(Some(Toolchain {
        rustc: rustc.to_owned(),
        library: Some(library),
        linker: Some(linker),
        compiler: Compiler {
            linker: linker_version.map(|version| format!("LLD {version}")),
            ..compiler.clone()
        },
    }))
}

fn find_linker() -> Option<PathBuf> {
    let sysroot = output(Path::new("rustc"), &["--print", "sysroot"]).ok()?;
    let host = format!(
        "lib/rustlib/{}-unknown-linux-gnu/bin",
        std::env::consts::ARCH
    );
    [
        Path::new(sysroot.trim()).join(host).join("rust-lld"),
        PathBuf::from("/usr/bin/rust-lld"),
        PathBuf::from("/usr/bin/ld.lld-22"),
    ]
    .into_iter()
    .find(|path| path.is_file())
}

fn has_targets(rustc: &Path) -> bool {
    CHIPS.iter().all(|chip| {
        output(
            rustc,
            &["--print", "target-libdir", "--target", chip.target],
        )
        .is_ok_and(|directory| Path::new(directory.trim()).is_dir())
    })
}

fn describe(verbose: &str) -> Compiler {
    let field = |name: &str| {
        verbose
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or("unknown")
            .to_owned()
    };
    Compiler {
        version: field("release"),
        commit: field("commit-hash"),
        date: field("commit-date"),
        linker: None,
    }
}

fn output(program: &Path, arguments: &[&str]) -> Result<String, BuildError> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|source| BuildError::Start {
            program: program.display().to_string(),
            source,
        })?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            program: program.display().to_string(),
            status: output.status,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn reads_what_a_compiler_says_of_itself() {
        let compiler = describe(
            "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
             commit-hash: ac68\ncommit-date: 2026-05-25\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n",
        );
        assert_eq!(compiler.version, "1.96.0");
        assert_eq!(compiler.commit, "ac68");
        assert_eq!(compiler.date, "2026-05-25");
        assert_eq!(describe("").commit, "unknown");
    }
}
