//! Runs cargo for each chip and makes an image of what it links.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::BuildError;
use crate::chips::{CHIPS, Chip};
use crate::elf;
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::toolchain::{self, Toolchain};
use crate::wrapper;

/// What a build gave.
pub(crate) struct Built {
    /// What is said of the images.
    pub(crate) manifest: Manifest,
    /// Their bytes, in the manifest's order.
    pub(crate) images: Vec<Vec<u8>>,
}

impl Built {
    /// Writes the images and the manifest to `directory`.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), BuildError> {
        fs::create_dir_all(directory).map_err(BuildError::file(directory))?;
        for (entry, bytes) in self.manifest.images.iter().zip(&self.images) {
            let path = directory.join(&entry.file);
            fs::write(&path, bytes).map_err(BuildError::file(&path))?;
        }
        let path = directory.join(MANIFEST_FILE);
        fs::write(&path, self.manifest.to_text()?).map_err(BuildError::file(&path))
    }
}

/// Where cargo puts what it builds: its own choice, or `target/` in `firmware`.
pub(crate) fn target_directory(firmware: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| firmware.join("target"), PathBuf::from)
}

/// Builds every image from the sources in `firmware`, using `target` for what is made in between.
pub(crate) fn build(firmware: &Path, target: &Path) -> Result<Built, BuildError> {
    let toolchain = toolchain::find()?;
    let mut entries = Vec::new();
    let mut images = Vec::new();
    for chip in CHIPS {
        let path = compile(firmware, target, &toolchain, chip)?;
        let file = fs::read(&path).map_err(BuildError::file(&path))?;
        let image = elf::image(&file, chip)?;
        entries.push(image.entry);
        images.push(image.bytes);
    }
    Ok(Built {
        manifest: Manifest::new(toolchain.compiler, entries),
        images,
    })
}

/// Compiles and links for `chip` and gives the path of the ELF file.
fn compile(
    firmware: &Path,
    target: &Path,
    toolchain: &Toolchain,
    chip: Chip,
) -> Result<PathBuf, BuildError> {
    let name = chip.platform.name();
    let target = target.join("images");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let wrapper = env::current_exe().map_err(BuildError::file(Path::new("this program")))?;
    let mut command = Command::new(&cargo);
    command
        .current_dir(firmware)
        .args(["build", "--locked", "--package", "keyline-firmware"])
        .args(["--profile", name, "--features", name])
        .args(["--target", chip.target])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(firmware, toolchain))
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_WRAPPER", wrapper)
        .env(wrapper::VARIABLE, "1")
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS");
    if toolchain.library.is_some() {
        // A stable compiler takes `-Z` from cargo only with this set.
        command
            .args(["-Z", "build-std=core,alloc"])
            .env("RUSTC_BOOTSTRAP", "1");
    }
    let status = command.status().map_err(|source| BuildError::Start {
        program: cargo.display().to_string(),
        source,
    })?;
    if !status.success() {
        return Err(BuildError::Failed {
            program: format!("cargo build --features {name}"),
            status,
        });
    }
    Ok(target.join(chip.target).join(name).join("keyline-firmware"))
}

/// The compiler's flags, as cargo takes them: one string with a separator that occurs in no path.
fn flags(firmware: &Path, toolchain: &Toolchain) -> String {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    // A function inlined into its only caller keeps its buffers on the stack while the caller calls others, and a unit of the smallest
    // chip has none to spare.
    let mut flags = vec!["-Cllvm-args=-inline-max-stacksize=256".to_owned()];
    flags.push(remap(firmware.parent().unwrap_or(firmware), "/keyline"));
    flags.extend(
        registries()
            .iter()
            .map(|directory| remap(directory, "/registry")),
    );
    if let Some(library) = &toolchain.library {
        flags.push(remap(library, "/library"));
    }
    if let Some(linker) = &toolchain.linker {
        flags.push(format!("-Clinker={}", linker.display()));
        flags.push("-Clinker-flavor=ld.lld".to_owned());
    }
    flags.join("\x1f")
}

/// The directories that hold the sources of the crates of a registry each.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map_or_else(
        || env::home_dir().unwrap_or_default().join(".cargo"),
        PathBuf::from,
    );
    fs::read_dir(home.join("registry/src"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}
