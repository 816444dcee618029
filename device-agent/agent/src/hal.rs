//! What an agent needs of a chip. A chip family is one implementation of [`Hal`]; so is the simulator.

use keyline_protocol::identity::Platform;

use crate::layout::Layout;

/// A piece of work that may take a unit longer than a station should wait in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One multiplication of the P-256 base point: a public key.
    BasePointMultiplication,
    /// One multiplication of another point: a key agreement.
    PointMultiplication,
    /// One ECDSA P-256 signature.
    SignP256,
    /// One ECDSA P-256 verification.
    VerifyP256,
    /// One RSA-2048 signature.
    SignRsa2048,
    /// One RSA-3072 signature.
    SignRsa3072,
    /// The start-up samples of the hardware generator.
    GeneratorStartUp,
    /// The digest of the agent's own image.
    ImageDigest,
    /// The erase of one flash page.
    ErasePage,
}

/// A chip, as far as the agent is concerned.
///
/// # Contract
/// - Flash is NOR: `erase_page` sets every bit of a page, `write_word` only clears bits, and a word is written at most once between
///   two erases. Both have returned only when the chip says that it is done; the agent reads back what it wrote, so they report
///   nothing.
/// - Addresses are the chip's own; everything the agent asks for lies in the pages that [`Layout`] names.
/// - `random_byte` gives one raw sample of the hardware generator without any correction that would hide its failure, or `None` when
///   it gave none within ten times its usual time.
/// - Power can go at any moment: a word that was being written may then hold any value between the old and the new, a page that was
///   being erased any at all.
pub trait Hal {
    /// The chip.
    fn platform(&self) -> Platform;

    /// Where things lie in its flash.
    fn layout(&self) -> &'static Layout;

    /// The chip's own id: the word that comes first in memory, then the other.
    fn chip_id(&self) -> (u32, u32);

    /// Reads flash from `address` on.
    fn read(&self, address: u32, into: &mut [u8]);

    /// Clears those bits of the word at `address` (a multiple of 4) that are clear in `word`.
    fn write_word(&mut self, address: u32, word: u32);

    /// Sets every bit of the page that begins at `address`.
    fn erase_page(&mut self, address: u32);

    /// One raw sample of the hardware generator.
    fn random_byte(&mut self) -> Option<u8>;

    /// Hands the agent's own image, as it lies in memory, to `take`, piece by piece.
    fn image(&self, take: &mut dyn FnMut(&[u8]));

    /// Whether this chip has the RAM to sign with an RSA key. It counts only in an agent built with the feature `rsa`, which needs an
    /// allocator: about 15 KiB of heap and 9 KiB of stack for 2,048 bits. A chip without it still holds such a key where a flash page
    /// is long enough for one.
    fn signs_rsa(&self) -> bool {
        false
    }

    /// Whether read-back protection is set in the chip's configuration.
    fn protected(&self) -> bool;

    /// Sets read-back protection; it holds from the next reset.
    fn protect(&mut self);

    /// How long `work` takes on this chip, in milliseconds; 0 where it is not worth a busy frame.
    fn duration_ms(&self, work: Work) -> u32;

    /// Sends one encoded frame and returns when its last byte is on its way.
    fn send(&mut self, frame: &[u8]);

    /// Resets the chip. Silicon does not return from this; a simulator does, and calls
    /// [`Agent::reboot`](crate::Agent::reboot).
    fn reset(&mut self);
}
