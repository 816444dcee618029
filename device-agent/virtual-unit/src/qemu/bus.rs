//! What the memory access port needs from the chip behind it.

/// Why an access failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusError {
    /// The bus answered with an error: nothing there, or protected.
    Refused,
    /// The chip lost its power, or the emulator ended, in the middle.
    Lost,
}

/// The chip's system bus, as the memory access port sees it.
pub(super) trait Bus {
    /// Reads `size` bytes (1, 2 or 4) at an aligned address; the value is in the low bits.
    fn read(&mut self, address: u32, size: u32) -> Result<u32, BusError>;
    /// Writes `size` bytes (1, 2 or 4) at an aligned address; the value is in the low bits.
    fn write(&mut self, address: u32, size: u32, value: u32) -> Result<(), BusError>;
    /// Whether the words of a range can be accessed in one go, with the same effect as one by one.
    fn uniform(&self, address: u32, words: u32) -> bool;
    /// Reads words of a uniform range.
    fn read_words(&mut self, address: u32, words: &mut [u32]) -> Result<(), BusError>;
    /// Writes words of a uniform range.
    fn write_words(&mut self, address: u32, words: &[u32]) -> Result<(), BusError>;
}
