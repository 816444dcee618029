//! Where imported rows go: the seam to the registry.

use std::convert::Infallible;
use std::error::Error;

use super::refusal::RefusedRow;
use super::seen::ImportedKey;

/// A row that is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The very same row was in before; nothing was changed.
    pub already: bool,
}

/// Takes rows in.
///
/// # Contract
/// - The answers stand in the order of the rows, one for each.
/// - `Ok` means durable: the import does not give the row again.
/// - Idempotent: after an interruption the last batch comes again, whole. A row that is in already is `Imported { already: true }`.
/// - A row that can't be taken is its own answer; an error ends the import, and says nothing about which rows of the batch are in.
pub trait FleetSink: Sync {
    /// Why no row could be taken.
    type Error: Error + Send + Sync + 'static;

    /// Takes a batch in.
    fn import(
        &self,
        batch: Vec<ImportedKey>,
    ) -> impl Future<Output = Result<Vec<Result<Imported, RefusedRow>>, Self::Error>> + Send;
}

/// Takes nothing: for a dry run, which finds what is wrong with the file itself.
pub struct NoSink;

impl FleetSink for NoSink {
    type Error = Infallible;

    async fn import(
        &self,
        batch: Vec<ImportedKey>,
    ) -> Result<Vec<Result<Imported, RefusedRow>>, Infallible> {
        Ok(vec![Ok(Imported { already: false }); batch.len()])
    }
}
