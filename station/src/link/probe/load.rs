//! Bringing the agent's image onto the chip, reading it back, and starting it cold.

use std::time::Duration;

use probe_rs::{Error, RegisterId};
use sha2::{Digest as _, Sha256};

use super::bus::Bus;
use super::flasher;
use super::open::lost;
use super::rtt;
use crate::link::{AgentImage, LinkError, Residence};

/// How long a chip may take from the request of a reset to standing still.
const HALT_TIMEOUT: Duration = Duration::from_millis(600);

/// What is read back and compared at once, in words: one stretch of the address's own growth.
const PIECE_WORDS: usize = 256;

/// Application Interrupt and Reset Control Register (ARMv6-M Architecture Reference Manual, B3.2.6): the key and SYSRESETREQ.
const AIRCR: u32 = 0xe000_ed0c;
const AIRCR_RESET: u32 = 0x05fa_0004;

/// Vector Table Offset Register (ARMv7-M Architecture Reference Manual, B3.2.5).
const VTOR: u32 = 0xe000_ed08;

/// Numbers of core registers in DCRSR (ARMv7-M Architecture Reference Manual, C1.6.3).
const REGISTER_SP: RegisterId = RegisterId(13);
const REGISTER_PC: RegisterId = RegisterId(15);

/// Brings the image onto the chip where it isn't there already, and starts it. Gives the digest of what was read back.
pub(super) fn start(bus: &mut Bus, image: &AgentImage) -> Result<[u8; 32], LinkError> {
    match image.residence {
        Residence::Flash => start_in_flash(bus, image),
        Residence::Ram => start_in_ram(bus, image),
    }
}

/// Starts the agent again, cold.
pub(super) fn restart(bus: &mut Bus, image: &AgentImage) -> Result<(), LinkError> {
    match image.residence {
        Residence::Flash => reset(bus, image),
        Residence::Ram => start_in_ram(bus, image).map(drop),
    }
}

fn start_in_flash(bus: &mut Bus, image: &AgentImage) -> Result<[u8; 32], LinkError> {
    let digest = if let Some(digest) = read_back(bus, image)? {
        digest
    } else {
        flash(bus, image)?;
        read_back(bus, image)?.ok_or(LinkError::ImageMismatch {
            address: image.load_address,
        })?
    };
    reset(bus, image)?;
    Ok(digest)
}

fn start_in_ram(bus: &mut Bus, image: &AgentImage) -> Result<[u8; 32], LinkError> {
    const DOING: &str = "loading the agent";
    bus.with_core(|core| core.reset_and_halt(HALT_TIMEOUT))
        .map_err(lost(DOING))?;
    // RAM outlives a reset on most chips, and what is there is read anyway.
    let digest = if let Some(digest) = read_back(bus, image)? {
        digest
    } else {
        bus.write(image.load_address, &words(&image.bytes))
            .map_err(lost(DOING))?;
        read_back(bus, image)?.ok_or(LinkError::ImageMismatch {
            address: image.load_address,
        })?
    };
    rtt::invalidate(bus, image.rtt_address).map_err(lost(DOING))?;
    run_from(bus, image).map_err(lost("starting the agent"))?;
    Ok(digest)
}

/// Begins to run at the image's own vector table.
fn run_from(bus: &mut Bus, image: &AgentImage) -> Result<(), Error> {
    let table = words(&image.bytes[..image.bytes.len().min(8)]);
    let &[stack, entry] = table.as_slice() else {
        return Err(Error::Other("the image has no vector table".to_owned()));
    };
    bus.write_word(VTOR, image.load_address)?;
    bus.with_core(|core| {
        core.write_core_reg(REGISTER_SP, stack)?;
        core.write_core_reg(REGISTER_PC, entry & !1)?;
        core.run()
    })
}

/// Resets the chip and lets it run from flash.
fn reset(bus: &mut Bus, image: &AgentImage) -> Result<(), LinkError> {
    const DOING: &str = "resetting the chip";
    rtt::invalidate(bus, image.rtt_address).map_err(lost(DOING))?;
    bus.write_word(AIRCR, AIRCR_RESET).map_err(lost(DOING))?;
    Ok(())
}

/// Writes the image to flash, from a standing start.
fn flash(bus: &mut Bus, image: &AgentImage) -> Result<(), LinkError> {
    bus.with_core(|core| core.reset_and_halt(HALT_TIMEOUT))
        .map_err(lost("halting the chip"))?;
    flasher::program(bus, image.platform, image.load_address, &image.bytes)
}

/// Reads the image back, piece by piece: its digest, or `None` at the first piece that differs.
fn read_back(bus: &mut Bus, image: &AgentImage) -> Result<Option<[u8; 32]>, LinkError> {
    let mut hash = Sha256::new();
    let mut address = image.load_address;
    for expected in image.bytes.chunks(4 * PIECE_WORDS) {
        let mut piece = vec![0; expected.len().div_ceil(4)];
        bus.read(address, &mut piece)
            .map_err(lost("reading the agent back"))?;
        let mut got: Vec<u8> = piece.iter().flat_map(|word| word.to_le_bytes()).collect();
        got.truncate(expected.len());
        if got != expected {
            return Ok(None);
        }
        hash.update(&got);
        address += u32::try_from(expected.len()).unwrap_or(0);
    }
    Ok(Some(hash.finalize().into()))
}

/// Bytes as words; the last one is filled up with what flash holds where nothing is written.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0xff; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect()
}
