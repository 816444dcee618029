//! Programs for the emulated core, assembled by hand: a vector table, code at 0x100, literals behind it.

/// Where [`counter`] counts.
pub(crate) const COUNTER: u64 = 0x2000_0100;
/// Where [`flash_writer`] writes its first word.
pub(crate) const WRITTEN: u32 = 0x8000;

fn program(code: &[u16], literals: &[u32]) -> Vec<u8> {
    let mut image = vec![0xFF; 0x100];
    image[..4].copy_from_slice(&0x2000_4000_u32.to_le_bytes());
    image[4..8].copy_from_slice(&0x101_u32.to_le_bytes());
    image.extend(code.iter().flat_map(|halfword| halfword.to_le_bytes()));
    image.extend(literals.iter().flat_map(|word| word.to_le_bytes()));
    image
}

/// Counts up in RAM for ever. The loop starts at 0x104.
pub(crate) fn counter() -> Vec<u8> {
    let code = [
        0x4802, // 100  ldr  r0, [pc, #8]   ; 10c
        0x2100, // 102  movs r1, #0
        0x3101, // 104  adds r1, #1
        0x6001, // 106  str  r1, [r0]
        0xE7FC, // 108  b    104
        0xBF00, // 10a  nop
    ];
    program(&code, &[0x2000_0100])
}

/// Writes 0, 1, 2, … to flash from [`WRITTEN`] on, as fast as it can.
pub(crate) fn flash_writer() -> Vec<u8> {
    let code = [
        0x4804, // 100  ldr  r0, [pc, #16]  ; 114 the flash controller's configuration
        0x2101, // 102  movs r1, #1
        0x6001, // 104  str  r1, [r0]
        0x4A04, // 106  ldr  r2, [pc, #16]  ; 118
        0x2300, // 108  movs r3, #0
        0x6013, // 10a  str  r3, [r2]
        0x3204, // 10c  adds r2, #4
        0x3301, // 10e  adds r3, #1
        0xE7FB, // 110  b    10a
        0xBF00, // 112  nop
    ];
    program(&code, &[0x4001_E504, WRITTEN])
}

/// Adds one to [`COUNTER`] and resets the chip.
pub(crate) fn resetter() -> Vec<u8> {
    let code = [
        0x4803, // 100  ldr  r0, [pc, #12]  ; 110
        0x6801, // 102  ldr  r1, [r0]
        0x3101, // 104  adds r1, #1
        0x6001, // 106  str  r1, [r0]
        0x4802, // 108  ldr  r0, [pc, #8]   ; 114
        0x4903, // 10a  ldr  r1, [pc, #12]  ; 118
        0x6001, // 10c  str  r1, [r0]
        0xE7FE, // 10e  b    .
    ];
    program(&code, &[0x2000_0100, 0xE000_ED0C, 0x05FA_0004])
}
