//! NOR flash as silicon has it, and stricter: what silicon would do silently wrong is remembered as a violation.

use keyline_agent::layout::Layout;

use super::sampler::Sampler;

/// Something that no program may ask of flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A word's address is no multiple of 4, or a page's none of the page length.
    Misaligned(u32),
    /// An address outside the pages that the layout names.
    OutOfArea(u32),
    /// A bit that is clear was to be set.
    SetsBits {
        /// Where.
        address: u32,
        /// What the word is.
        old: u32,
        /// What was asked for.
        new: u32,
    },
    /// A word that was already written since its page was erased.
    WrittenTwice(u32),
}

/// The pages of one layout. Power can go at a chosen operation, and a bit can refuse to clear at a chosen write.
#[derive(Clone, Debug)]
pub struct StrictFlash {
    layout: &'static Layout,
    bytes: Vec<u8>,
    written: Vec<bool>,
    violations: Vec<Violation>,
    operations: u64,
    writes: u64,
    erases: u64,
    power_cut_at: Option<u64>,
    bit_error_at: Option<u64>,
    powered: bool,
    sampler: Sampler,
}

impl StrictFlash {
    /// Erased flash; `seed` decides what a cut leaves behind.
    pub(crate) fn new(layout: &'static Layout, seed: u64) -> Self {
        let length = (layout.end() - layout.start()) as usize;
        Self {
            layout,
            bytes: vec![0xff; length],
            written: vec![false; length / 4],
            violations: Vec::new(),
            operations: 0,
            writes: 0,
            erases: 0,
            power_cut_at: None,
            bit_error_at: None,
            powered: true,
            sampler: Sampler::new(seed),
        }
    }

    /// What was asked of flash against its rules, in order.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// All the bytes of the layout's pages, from [`Layout::start`] on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes and erases since the unit was made.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// Words written since the unit was made.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// Pages erased since the unit was made.
    #[must_use]
    pub const fn erases(&self) -> u64 {
        self.erases
    }

    /// Cuts the power in the middle of the `nth` write or erase from now on; 1 is the next.
    pub const fn cut_power_at(&mut self, nth: u64) {
        self.power_cut_at = Some(self.operations + nth);
    }

    /// Takes a planned power cut back.
    pub const fn cancel_power_cut(&mut self) {
        self.power_cut_at = None;
    }

    /// In the `nth` write from now on (1 is the next), one bit that should clear stays set.
    pub const fn fail_bit_at(&mut self, nth: u64) {
        self.bit_error_at = Some(self.writes + nth);
    }

    /// Whether the power is on.
    #[must_use]
    pub const fn is_powered(&self) -> bool {
        self.powered
    }

    /// Changes flash from outside, as a debugger with its own means would; counts as no operation.
    pub fn tamper(&mut self, address: u32, bytes: &[u8]) {
        if let Some(place) = self
            .offset(address)
            .and_then(|at| self.bytes.get_mut(at..at + bytes.len()))
        {
            place.copy_from_slice(bytes);
            self.find_written();
        }
    }

    /// Puts back what a unit's flash held.
    pub(crate) fn restore(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.find_written();
    }

    /// Takes each word that is not erased for written: nothing else is known of bytes that came from outside.
    fn find_written(&mut self) {
        for (written, word) in self.written.iter_mut().zip(self.bytes.chunks_exact(4)) {
            *written = word != [0xff; 4];
        }
    }

    /// Power on or off. A cut that is still to come outlasts a reset: a run resets its unit before it writes.
    pub(crate) const fn set_power(&mut self, on: bool) {
        self.powered = on;
    }

    /// Reads from `address` on; what lies outside the layout's pages reads as erased.
    pub(crate) fn read(&self, address: u32, into: &mut [u8]) {
        into.fill(0xff);
        let from = self.offset(address).and_then(|at| self.bytes.get(at..));
        for (place, byte) in into.iter_mut().zip(from.unwrap_or(&[])) {
            *place = *byte;
        }
    }

    /// Writes one word.
    pub(crate) fn write_word(&mut self, address: u32, word: u32) {
        if !self.powered {
            return;
        }
        let Some(at) = self.checked(address, 4) else {
            return;
        };
        self.operations += 1;
        self.writes += 1;
        let old = self.word(at);
        if word & !old != 0 {
            let new = word;
            self.violations
                .push(Violation::SetsBits { address, old, new });
        }
        if core::mem::replace(&mut self.written[at / 4], true) {
            self.violations.push(Violation::WrittenTwice(address));
        }
        let mut after = old & word;
        if self.bit_error_at == Some(self.writes) {
            after |= self.one_of(old & !word);
        }
        if self.power_cut_at == Some(self.operations) {
            // Some of the bits that were to clear have not.
            let kept = self.sampler.next().to_le_bytes();
            let mask = u32::from_le_bytes([kept[0], kept[1], kept[2], kept[3]]);
            after |= old & !word & mask;
            self.set_power(false);
        }
        self.bytes[at..at + 4].copy_from_slice(&after.to_le_bytes());
    }

    /// Erases one page.
    pub(crate) fn erase_page(&mut self, address: u32) {
        if !self.powered {
            return;
        }
        let length = self.layout.page_length;
        let Some(at) = self.checked(address, length) else {
            return;
        };
        self.operations += 1;
        self.erases += 1;
        let cut = self.power_cut_at == Some(self.operations);
        for (index, byte) in self.bytes[at..at + length as usize].iter_mut().enumerate() {
            // An erase that was cut leaves anything; here each byte is old, erased or neither.
            let [choice, garbage, ..] = if cut {
                self.sampler.next().to_le_bytes()
            } else {
                [0; 8]
            };
            *byte = match choice % 4 {
                _ if !cut => 0xff,
                0 => *byte,
                1 => garbage,
                _ => 0xff,
            };
            self.written[(at + index) / 4] = cut;
        }
        if cut {
            self.set_power(false);
        }
    }

    fn word(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(word)
    }

    /// One of the bits that are set in `bits`, or none.
    fn one_of(&mut self, bits: u32) -> u32 {
        let [choice, ..] = self.sampler.next().to_le_bytes();
        (0..32)
            .map(|bit| 1_u32.rotate_left(bit + u32::from(choice)))
            .find(|bit| bits & bit != 0)
            .unwrap_or(0)
    }

    fn offset(&self, address: u32) -> Option<usize> {
        (self.layout.start()..self.layout.end())
            .contains(&address)
            .then(|| (address - self.layout.start()) as usize)
    }

    /// Where `address` lies, or a violation.
    fn checked(&mut self, address: u32, unit: u32) -> Option<usize> {
        if !address.is_multiple_of(unit) {
            self.violations.push(Violation::Misaligned(address));
            return None;
        }
        let offset = self.offset(address);
        if offset.is_none() {
            self.violations.push(Violation::OutOfArea(address));
        }
        offset
    }
}
