//! The log's tree on disk, as C2SP `tlog-tiles` lays it out, and proofs from it.
//!
//! The journal's entries are the log; the tiles are made from them and can be lost. So nothing here is on a unit's way: the
//! [`Publisher`] follows the journal behind its back, and a disk on which it can't write stops nobody. And nothing here is believed:
//! every tile is held against the tile above it and the topmost against a signed checkpoint, and where one does not fit it is made
//! anew from the entries. [`LogReader`] gives proofs, in the station or in any process beside it; [`recompute`] reads a whole
//! published log again.
//!
//! ```text
//! HOME/tlog/                  0700  what a web server may serve as it is
//!   checkpoint                      the signed tree head of what is published; written last
//!   tile/<L>/<N>[.p/<W>]            hashes
//!   tile/entries/<N>[.p/<W>]        leaves
//!   unfinished                      the file that is being written
//! ```

mod cache;
mod check;
mod directory;
mod edge;
mod error;
mod publication;
mod published;
mod publisher;
mod reader;
mod recompute;
mod shared;
mod standing;
mod trunk;

pub use directory::TileDirectory;
pub use error::TilesError;
pub use publisher::{Publisher, PublisherStatus};
pub use reader::LogReader;
pub use recompute::{Recomputed, recompute};
pub use standing::{Standing, standing};

/// The directory's name in a station's home.
pub const TILE_DIRECTORY: &str = "tlog";
