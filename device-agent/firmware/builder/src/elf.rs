//! Makes the raw image of what the linker wrote, and says what is in it.

use keyline_protocol::identity::Algorithm;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile32, FileHeader as _, ProgramHeader as _};
use object::{Endianness, LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _};
use sha2::{Digest as _, Sha256};

use crate::BuildError;
use crate::chips::{Chip, Resident};
use crate::manifest::Description;

/// An image and what the manifest says of it.
pub(crate) struct Image {
    /// What the manifest says.
    pub(crate) entry: Description,
    /// The bytes to load.
    pub(crate) bytes: Vec<u8>,
}

/// What an erased byte of flash holds; it fills the gaps between sections.
const FILL: u8 = 0xFF;

/// Makes the image of the ELF file `file`.
pub(crate) fn image(file: &[u8], chip: Chip) -> Result<Image, BuildError> {
    let wrong = |what: String| BuildError::Image {
        chip: chip.platform.name(),
        what,
    };
    let elf = ElfFile32::<LittleEndian>::parse(file)?;
    let (load_address, bytes) = load_region(file)?;
    let word = |index: usize| {
        bytes
            .get(index * 4..index * 4 + 4)
            .and_then(|word| word.try_into().ok())
            .map(u32::from_le_bytes)
            .ok_or_else(|| wrong(format!("the image has only {} bytes", bytes.len())))
    };
    let symbol = |name: &str| {
        elf.symbol_by_name(name)
            .and_then(|symbol| u32::try_from(symbol.address()).ok())
            .ok_or_else(|| wrong(format!("no symbol {name}")))
    };
    let stack_bottom = symbol("_stack_end")?;
    let entry = Description {
        platform: chip.platform.name().to_owned(),
        file: format!("{}.bin", chip.platform.name()),
        target: chip.target.to_owned(),
        resident: chip.resident,
        load_address,
        length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        sha256: hex::encode(Sha256::digest(&bytes)),
        vector_table: symbol("__vector_table")?,
        stack_top: word(0)?,
        entry: word(1)?,
        stack_bottom,
        rtt_control_block: symbol("_SEGGER_RTT")?,
        ram_bytes: written_bytes(&elf),
        signs: chip
            .signs
            .iter()
            .map(|algorithm: &Algorithm| algorithm.name().to_owned())
            .collect(),
        layout: chip.layout.name.to_owned(),
    };
    entry.check(chip).map_err(wrong)?;
    Ok(Image { entry, bytes })
}

/// The bytes that a loader would load, gaps filled, and where they go.
fn load_region(file: &[u8]) -> Result<(u32, Vec<u8>), BuildError> {
    let header = FileHeader32::<Endianness>::parse(file)?;
    let endian = header.endian()?;
    let mut segments: Vec<(u32, &[u8])> = header
        .program_headers(endian, file)?
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD && segment.p_filesz(endian) > 0)
        .filter_map(|segment| Some((segment.p_paddr(endian), segment.data(endian, file).ok()?)))
        .collect();
    segments.sort_by_key(|(address, _)| *address);
    let start = segments.first().map_or(0, |(address, _)| *address);
    let mut bytes = Vec::new();
    for (address, data) in segments {
        bytes.resize((address - start) as usize, FILL);
        bytes.extend_from_slice(data);
    }
    Ok((start, bytes))
}

/// The bytes of RAM that the program writes, the stack left out.
fn written_bytes(elf: &ElfFile32<'_, LittleEndian>) -> u32 {
    let length: u64 = [".rtt", ".data", ".bss", ".uninit"]
        .into_iter()
        .filter_map(|name| elf.section_by_name(name))
        .map(|section| section.size())
        .sum();
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Description {
    /// Whether the image is what `chip` can run; says what is wrong where it is not.
    fn check(&self, chip: Chip) -> Result<(), String> {
        let end = self.load_address + self.length;
        if self.vector_table != self.load_address {
            return Err(format!(
                "the vector table lies at {:#010x}, expected the image's start {:#010x}",
                self.vector_table, self.load_address
            ));
        }
        if self.entry & 1 == 0 || !(self.load_address..end).contains(&self.entry) {
            return Err(format!(
                "the entry {:#010x} is no Thumb address in the image",
                self.entry
            ));
        }
        match chip.resident {
            Resident::Flash if end > chip.layout.start() => Err(format!(
                "the image ends at {end:#x}, in the agent's areas from {:#x} on",
                chip.layout.start()
            )),
            Resident::Ram if self.load_address < self.stack_top || end > self.rtt_control_block => {
                Err(format!(
                    "the image from {:#010x} to {end:#010x} lies in what the program writes",
                    self.load_address
                ))
            }
            Resident::Flash | Resident::Ram => Ok(()),
        }
    }
}
