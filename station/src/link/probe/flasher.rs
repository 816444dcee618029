//! Writing flash through a routine in the unit's own RAM, which programs several pages a call.
//!
//! probe-rs' flash algorithms take one page a call and a few dozen transfers for each; on a real probe it is the round trips that cost
//! time. This routine drives the flash controller that nRF51 and nRF52 share (nRF51 Series Reference Manual v3.0, chapter 6; nRF52840
//! Product Specification v1.7, 4.3) and touches only the pages that it is given.

use std::time::{Duration, Instant};

use keyline_protocol::identity::Platform;
use probe_rs::Error;

use super::bus::Bus;
use super::open::lost;
use crate::link::LinkError;

/// The routine, position-independent ARMv6-M code.
///
/// ```text
/// r0 where in flash, r1 from where in RAM, r2 the end in flash, r3 NVMC + 0x500, r4 NVMC + 0x400, r5 page length - 1
/// 00 next:     tst r0, r5         is it the first word of a page?
/// 02           bne program
/// 04           movs r6, #2        CONFIG = erase
/// 06           str r6, [r3, #4]
/// 08           ldr r7, [r4]       wait for READY
/// 0a           lsrs r7, r7, #1
/// 0c           bcc 08
/// 0e           str r0, [r3, #8]   ERASEPAGE
/// 10           ldr r7, [r4]
/// 12           lsrs r7, r7, #1
/// 14           bcc 10
/// 16           movs r6, #1        CONFIG = write
/// 18           str r6, [r3, #4]
/// 1a           ldr r7, [r4]
/// 1c           lsrs r7, r7, #1
/// 1e           bcc 1a
/// 20 program:  ldmia r1!, {r7}
/// 22           stmia r0!, {r7}
/// 24           ldr r7, [r4]
/// 26           lsrs r7, r7, #1
/// 28           bcc 24
/// 2a           cmp r0, r2
/// 2c           bne next
/// 2e           movs r6, #0        CONFIG = read
/// 30           str r6, [r3, #4]
/// 32           ldr r7, [r4]
/// 34           lsrs r7, r7, #1
/// 36           bcc 32
/// 38           bx lr
/// 3a           bkpt
/// ```
const ROUTINE: [u16; 30] = [
    0x4228, 0xd10d, 0x2602, 0x605e, 0x6827, 0x087f, 0xd3fc, 0x6098, 0x6827, 0x087f, 0xd3fc, 0x2601,
    0x605e, 0x6827, 0x087f, 0xd3fc, 0xc980, 0xc080, 0x6827, 0x087f, 0xd3fc, 0x4290, 0xd1e8, 0x2600,
    0x605e, 0x6827, 0x087f, 0xd3fc, 0x4770, 0xbe00,
];

/// Where the routine is put: the first byte of RAM.
const ROUTINE_ADDRESS: u32 = 0x2000_0000;
/// Its last instruction, the breakpoint to return to.
const ROUTINE_END: u32 = ROUTINE_ADDRESS + 0x3a;
/// Where the words to program are put.
const BUFFER_ADDRESS: u32 = 0x2000_0400;
/// Bytes a call: whole pages of either family, within the 16 KiB of the smallest chip.
const BUFFER_LENGTH: usize = 12 * 1024;

/// The flash controller's two register groups.
const NVMC_CONFIG_GROUP: u32 = 0x4001_e500;
const NVMC_READY_GROUP: u32 = 0x4001_e400;

/// Debug registers (ARMv6-M Architecture Reference Manual, C1.6.3 to C1.6.5).
const DHCSR: u32 = 0xe000_edf0;
const DCRSR: u32 = 0xe000_edf4;
const DCRDR: u32 = 0xe000_edf8;
/// DHCSR: the key, `C_DEBUGEN`, and `C_HALT` clear.
const DHCSR_RUN: u32 = 0xa05f_0001;
/// DHCSR: a register's transfer is done; the core stands still.
const DHCSR_REGISTER_READY: u32 = 1 << 16;
const DHCSR_HALTED: u32 = 1 << 17;
/// DCRSR: to the register, not from it.
const DCRSR_WRITE: u32 = 1 << 16;

const LINK_REGISTER: u32 = 14;
const PROGRAM_COUNTER: u32 = 15;
const STATUS_REGISTER: u32 = 16;
/// xPSR: Thumb state.
const STATUS_THUMB: u32 = 1 << 24;

/// How long one call may take: 12 pages of 1 KiB are 0.26 s of erasing and 0.14 s of writing (nRF51822 Product Specification v3.4,
/// table 43), three of 4 KiB on an nRF52 as much.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a register's transfer may take.
const REGISTER_TIMEOUT: Duration = Duration::from_millis(100);
/// How far polls of a call are apart.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The pages' length in bytes.
const fn page_length(platform: Platform) -> u32 {
    match platform {
        Platform::Nrf51822 => 0x400,
        Platform::Nrf52832 | Platform::Nrf52840 => 0x1000,
    }
}

/// Programs `bytes` from `address` on, the first byte of a page. The core must stand still, fresh from a reset. What else lies in the
/// last page stays.
///
/// # Errors
/// [`LinkError::Lost`] where the chip does not do it.
pub(super) fn program(
    bus: &mut Bus,
    platform: Platform,
    address: u32,
    bytes: &[u8],
) -> Result<(), LinkError> {
    const DOING: &str = "writing the agent to flash";
    let page = page_length(platform);
    let words = with_rest_of_page(bus, page, address, bytes).map_err(lost(DOING))?;
    prepare(bus, page).map_err(lost(DOING))?;
    let mut place = address;
    for piece in words.chunks(BUFFER_LENGTH / 4) {
        let end = place + 4 * u32::try_from(piece.len()).unwrap_or(0);
        call(bus, place, end, piece).map_err(lost(DOING))?;
        place = end;
    }
    Ok(())
}

/// The words to program: the bytes, and what the last page holds behind them, up to where it is erased.
fn with_rest_of_page(
    bus: &mut Bus,
    page: u32,
    address: u32,
    bytes: &[u8],
) -> Result<Vec<u32>, Error> {
    let end = address + u32::try_from(bytes.len()).unwrap_or(0);
    let first = end / 4 * 4;
    let mut rest = vec![0; ((end.next_multiple_of(page) - first) / 4) as usize];
    bus.read(first, &mut rest)?;
    let mut whole = bytes.to_vec();
    whole.extend(
        rest.iter()
            .flat_map(|word| word.to_le_bytes())
            .skip((end - first) as usize),
    );
    let mut words: Vec<u32> = whole
        .as_chunks::<4>()
        .0
        .iter()
        .map(|chunk| u32::from_le_bytes(*chunk))
        .collect();
    while words.last() == Some(&u32::MAX) {
        words.pop();
    }
    Ok(words)
}

fn prepare(bus: &mut Bus, page: u32) -> Result<(), Error> {
    let code: Vec<u32> = ROUTINE
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[low, high]| u32::from(*low) | u32::from(*high) << 16)
        .collect();
    bus.write(ROUTINE_ADDRESS, &code)?;
    for (register, value) in [
        (3, NVMC_CONFIG_GROUP),
        (4, NVMC_READY_GROUP),
        (5, page - 1),
        (LINK_REGISTER, ROUTINE_END | 1),
        (STATUS_REGISTER, STATUS_THUMB),
    ] {
        set_register(bus, register, value)?;
    }
    Ok(())
}

fn call(bus: &mut Bus, place: u32, end: u32, words: &[u32]) -> Result<(), Error> {
    bus.write(BUFFER_ADDRESS, words)?;
    for (register, value) in [
        (0, place),
        (1, BUFFER_ADDRESS),
        (2, end),
        (PROGRAM_COUNTER, ROUTINE_ADDRESS),
    ] {
        set_register(bus, register, value)?;
    }
    bus.write_near(DHCSR, DHCSR_RUN)?;
    wait_for(bus, DHCSR_HALTED, CALL_TIMEOUT)
}

fn set_register(bus: &mut Bus, register: u32, value: u32) -> Result<(), Error> {
    bus.write_near(DCRDR, value)?;
    bus.write_near(DCRSR, register | DCRSR_WRITE)?;
    wait_for(bus, DHCSR_REGISTER_READY, REGISTER_TIMEOUT)
}

fn wait_for(bus: &mut Bus, bit: u32, timeout: Duration) -> Result<(), Error> {
    let began = Instant::now();
    while bus.poll(DHCSR)? & bit == 0 {
        if began.elapsed() > timeout {
            return Err(Error::Timeout);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
