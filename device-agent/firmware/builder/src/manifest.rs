//! What is said of the images: `images/manifest.json`. The station reads it too.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::chips::Resident;

/// The manifest's file name.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// The shape of the manifest; grows when a field changes its meaning.
const SCHEMA: u32 = 1;

/// The manifest.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The shape of this file.
    pub(crate) schema: u32,
    /// The release of the agent.
    pub(crate) agent_version: u32,
    /// The protocol versions that it speaks, oldest and newest.
    pub(crate) protocol_versions: [u16; 2],
    /// What built the images.
    pub(crate) compiler: Compiler,
    /// The images.
    pub(crate) images: Vec<Description>,
}

/// What built the images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compiler {
    /// The compiler's release.
    pub(crate) version: String,
    /// The commit that it was built from.
    pub(crate) commit: String,
    /// That commit's date.
    pub(crate) date: String,
    /// The linker and its version, where it is pinned.
    pub(crate) linker: Option<String>,
}

/// One image. Addresses and lengths are in bytes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The chip.
    pub(crate) platform: String,
    /// The file beside the manifest.
    pub(crate) file: String,
    /// The compiler's name for the core.
    pub(crate) target: String,
    /// Where it runs from.
    pub(crate) resident: Resident,
    /// Where its first byte goes.
    pub(crate) load_address: u32,
    /// Its length.
    pub(crate) length: u32,
    /// SHA-256 of the file, which the agent finds over itself and the station over what it reads back.
    pub(crate) sha256: String,
    /// The vector table's address: a RAM-resident image is started with VTOR at this address.
    pub(crate) vector_table: u32,
    /// The first word of the vector table: the stack pointer to start with.
    pub(crate) stack_top: u32,
    /// The second word: the program counter to start with, bit 0 set for Thumb.
    pub(crate) entry: u32,
    /// The lowest address of the stack, from which on start-up paints it with 0xCC.
    pub(crate) stack_bottom: u32,
    /// The address of the RTT control block; its first word is the last thing that start-up sets.
    pub(crate) rtt_control_block: u32,
    /// RAM that the program writes, the stack left out.
    pub(crate) ram_bytes: u32,
    /// What the agent can sign with.
    pub(crate) signs: Vec<String>,
    /// The name of the flash layout.
    pub(crate) layout: String,
}

impl Manifest {
    /// The manifest of these images.
    pub(crate) fn new(compiler: Compiler, images: Vec<Description>) -> Self {
        Self {
            schema: SCHEMA,
            agent_version: keyline_agent::AGENT_VERSION,
            protocol_versions: [
                keyline_protocol::version::OLDEST,
                keyline_protocol::version::CURRENT,
            ],
            compiler,
            images,
        }
    }

    /// Reads the manifest in `directory`.
    pub(crate) fn read(directory: &Path) -> Result<Self, BuildError> {
        let path = directory.join(MANIFEST_FILE);
        let text = fs::read_to_string(&path).map_err(BuildError::file(&path))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The manifest as it stands in its file.
    pub(crate) fn to_text(&self) -> Result<String, BuildError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Prints the images' sizes.
    pub(crate) fn print_table(&self) {
        println!(
            "compiler {} ({})",
            self.compiler.version, self.compiler.commit
        );
        println!(
            "{:10} {:>8} {:>10} {:>10}  sha256",
            "chip", "image", "RAM", "stack"
        );
        for image in &self.images {
            println!(
                "{:10} {:>8} {:>10} {:>10}  {}",
                image.platform,
                image.length,
                image.ram_bytes,
                image.stack_top - image.stack_bottom,
                image.sha256
            );
        }
    }
}
