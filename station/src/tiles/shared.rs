//! One proof for many leaves.

use super::error::TilesError;
use super::reader::LogReader;
use crate::audit::{
    Hash, consistency_proof, shared_proof, tree_root, verify_consistency, verify_shared,
};

impl LogReader {
    /// The proof that the leaves at `indexes`, which rise, are in the tree of the first `size` leaves ([`shared_proof`]).
    ///
    /// # Errors
    /// [`TilesError`] where there are no such leaves, the indexes do not rise, or the log can't be read.
    pub async fn shared_inclusion(
        &self,
        indexes: &[u64],
        size: u64,
    ) -> Result<Vec<Hash>, TilesError> {
        let view = self.view_of(size).await?;
        let (leaves, proof, root, link) = self
            .pieces(&view, |subtree| {
                let leaves = indexes
                    .iter()
                    .map(|index| Ok((*index, subtree(0, *index)?)));
                Ok((
                    leaves.collect::<Result<Vec<_>, TilesError>>()?,
                    shared_proof(&mut *subtree, indexes, size)?,
                    tree_root(&mut *subtree, size)?,
                    consistency_proof(&mut *subtree, size, view.size())?,
                ))
            })
            .await?;
        let head = &view.checkpoint;
        verify_consistency(size, &root, head.size, &head.root, &link)?;
        verify_shared(&leaves, size, &root, &proof)?;
        Ok(proof)
    }
}
