//! Tiles (C2SP `tlog-tiles`): how a log's hashes and entries are cut into files that never change once they are full.
//!
//! | file | what |
//! |-|-|
//! | `tile/<L>/<N>` | 256 hashes: the roots over the leaves `(N × 256 + i) × 256^L ..`, each over 256^L of them |
//! | `tile/entries/<N>` | the leaves `N × 256 ..` themselves, each after its length as two big-endian bytes |
//! | `… .p/<W>` | the first `W` of them, 1 to 255, where the tree ends inside |
//!
//! `<N>` is cut into groups of three digits, all but the last with an `x` before them: 1234067 is `x001/x234/067`.

use std::fmt;
use std::str::FromStr;

use super::{AuditError, Hash, leaf_hash, node_hash};

/// How many hashes or entries a full tile has.
pub const TILE_WIDTH: u16 = 256;

/// How many levels of the tree a tile spans: log2 of [`TILE_WIDTH`].
pub const TILE_HEIGHT: u32 = 8;

/// The highest level that a path may name.
const LEVEL_MAX: u8 = 63;

/// The longest path: the largest index has seven groups of digits.
const PATH_LENGTH_MAX: usize = 64;

/// The longest entry, in bytes: its length has two.
pub const ENTRY_LENGTH_MAX: usize = 65_535;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileContent {
    /// Hashes of this level: of leaves at 0, of full tiles of the level below at any other.
    Hashes(u8),
    /// Leaves.
    Entries,
}

/// A tile's coordinates. Holding one proves that the width is 1 to 256 and the level 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    content: TileContent,
    index: u64,
    width: u16,
}

impl TileId {
    /// The first `width` hashes or entries of the tile `index`.
    ///
    /// # Errors
    /// [`AuditError::Format`] where the width is not 1 to 256 or the level not 0 to 63.
    pub fn new(content: TileContent, index: u64, width: u16) -> Result<Self, AuditError> {
        let level = match content {
            TileContent::Hashes(level) => level,
            TileContent::Entries => 0,
        };
        if !(1..=TILE_WIDTH).contains(&width) || level > LEVEL_MAX {
            return Err(AuditError::Format {
                expected: "a tile of 1 to 256 hashes at level 0 to 63",
                got: format!("{width} at level {level}"),
            });
        }
        Ok(Self {
            content,
            index,
            width,
        })
    }

    /// The full tile of hashes `index` at a level; levels above 63 are taken as 63.
    #[must_use]
    pub const fn full(level: u8, index: u64) -> Self {
        let level = if level > LEVEL_MAX { LEVEL_MAX } else { level };
        Self {
            content: TileContent::Hashes(level),
            index,
            width: TILE_WIDTH,
        }
    }

    /// The full entry bundle `index`.
    #[must_use]
    pub const fn bundle(index: u64) -> Self {
        Self {
            content: TileContent::Entries,
            index,
            width: TILE_WIDTH,
        }
    }

    /// What it holds.
    #[must_use]
    pub const fn content(&self) -> TileContent {
        self.content
    }

    /// The how-manieth of its level it is, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it can never grow.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile that this one becomes.
    #[must_use]
    pub const fn completed(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// The longest that a file of it can be, in bytes.
    #[must_use]
    pub const fn length_max(&self) -> usize {
        match self.content {
            TileContent::Hashes(_) => self.width as usize * 32,
            TileContent::Entries => self.width as usize * (ENTRY_LENGTH_MAX + 2),
        }
    }
}

/// The path below the log's prefix.
impl fmt::Display for TileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            TileContent::Hashes(level) => write!(formatter, "tile/{level}/")?,
            TileContent::Entries => formatter.write_str("tile/entries/")?,
        }
        let digits = self.index.to_string();
        let groups = digits.len().div_ceil(3);
        let padded = format!("{digits:0>width$}", width = groups * 3);
        for group in 0..groups {
            let mark = if group + 1 < groups { "x" } else { "" };
            let separator = if group + 1 < groups { "/" } else { "" };
            let digits = &padded[group * 3..group * 3 + 3];
            write!(formatter, "{mark}{digits}{separator}")?;
        }
        if self.is_full() {
            Ok(())
        } else {
            write!(formatter, ".p/{}", self.width)
        }
    }
}

impl FromStr for TileId {
    type Err = AuditError;

    /// Reads a path, and only the one way of writing it.
    fn from_str(path: &str) -> Result<Self, AuditError> {
        let refuse = || AuditError::format("a tile's path: tile/<L>/<N>[.p/<W>]", path);
        if path.len() > PATH_LENGTH_MAX {
            return Err(refuse());
        }
        let id = read_path(path).ok_or_else(refuse)?;
        if id.to_string() == path {
            Ok(id)
        } else {
            Err(refuse())
        }
    }
}

/// Reads a path with more tolerance than the format allows: whoever calls compares with the way it is written.
fn read_path(path: &str) -> Option<TileId> {
    let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let content = match content {
        "entries" => TileContent::Entries,
        level => TileContent::Hashes(level.parse().ok()?),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let mut number: u64 = 0;
    for group in index.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let value: u64 = digits.parse().ok()?;
        number = number.checked_mul(1_000)?.checked_add(value)?;
    }
    TileId::new(content, number, width).ok()
}

/// The hashes of a tile, with all complete subtrees inside it. What it was read from proves nothing: compare its
/// [`root`](Self::root) with the tile above, or the tree's root with a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashTile {
    /// The tile's hashes, then the nodes over pairs of them, and so on up: row `h` has `width >> h` of them.
    rows: Vec<Vec<Hash>>,
}

impl HashTile {
    /// A tile of these hashes.
    ///
    /// # Errors
    /// [`AuditError::Format`] where there are none or more than 256.
    pub fn new(hashes: Vec<Hash>) -> Result<Self, AuditError> {
        if hashes.is_empty() || hashes.len() > usize::from(TILE_WIDTH) {
            return Err(AuditError::Format {
                expected: "1 to 256 hashes",
                got: hashes.len().to_string(),
            });
        }
        let mut rows = vec![hashes];
        while let Some(below) = rows.last().filter(|row| row.len() > 1) {
            let pairs = below.as_chunks::<2>().0.iter();
            rows.push(pairs.map(|[left, right]| node_hash(left, right)).collect());
        }
        Ok(Self { rows })
    }

    /// Reads the file of a tile of this width.
    ///
    /// # Errors
    /// [`AuditError::Format`] where its length is any other than 32 bytes a hash.
    pub fn parse(width: u16, bytes: &[u8]) -> Result<Self, AuditError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(width) {
            return Err(AuditError::Format {
                expected: "a tile with 32 bytes a hash",
                got: format!("{} bytes for {width} hashes", bytes.len()),
            });
        }
        Self::new(hashes.to_vec())
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes().concat()
    }

    /// Its hashes, 1 to 256.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        self.rows.first().map_or(&[], Vec::as_slice)
    }

    /// The root over the hashes `n × 2^height .. (n + 1) × 2^height`; `None` where not all of them are in the tile.
    #[must_use]
    pub fn subtree(&self, height: u32, n: u64) -> Option<Hash> {
        let row = self.rows.get(usize::try_from(height).ok()?)?;
        row.get(usize::try_from(n).ok()?).copied()
    }

    /// The root over all of it, where it is full: the hash that stands for it in the level above.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        self.subtree(TILE_HEIGHT, 0)
    }
}

/// Appends an entry to a bundle.
///
/// # Errors
/// [`AuditError::Format`] where the entry is longer than [`ENTRY_LENGTH_MAX`]; nothing is appended.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), AuditError> {
    let length = u16::try_from(entry.len()).map_err(|_| AuditError::Format {
        expected: "an entry of at most 65535 bytes",
        got: format!("{} bytes", entry.len()),
    })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads the bundle of a tile of this width: its entries, in their order.
///
/// # Errors
/// [`AuditError::Format`] where it does not hold exactly so many.
pub fn parse_bundle(width: u16, bytes: &[u8]) -> Result<Vec<&[u8]>, AuditError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, after)) = after.split_at_checked(length) else {
            break;
        };
        if entries.len() == usize::from(width) {
            break;
        }
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() && entries.len() == usize::from(width) {
        return Ok(entries);
    }
    Err(AuditError::Format {
        expected: "a bundle of entries, each after its length in two bytes",
        got: format!(
            "{} of {width} entries and then {} bytes",
            entries.len(),
            rest.len()
        ),
    })
}

/// The tile of hashes that a bundle's entries make.
///
/// # Errors
/// As [`parse_bundle`].
pub fn hash_bundle(width: u16, bytes: &[u8]) -> Result<HashTile, AuditError> {
    let entries = parse_bundle(width, bytes)?;
    HashTile::new(entries.into_iter().map(leaf_hash).collect())
}
