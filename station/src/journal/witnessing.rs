//! How far the log may run ahead of what witnesses have seen of it, and what they said.

use sqlx::SqliteConnection;

use super::JournalError;
use super::error::database;
use super::model::{AheadBounds, StoredCosignature};
use super::row::{signed, to_json};
use crate::audit::Leaf;

const HOUR_MS: u64 = 3_600_000;

/// What reaches the writer from whoever asks the witnesses.
#[derive(Debug)]
pub(super) enum WitnessWord {
    /// Runs begin only within these bounds.
    Bounds(AheadBounds),
    /// Cosignatures, and the size of the checkpoint that now counts as witnessed.
    Cosigned {
        cosignatures: Vec<StoredCosignature>,
        witnessed_size: Option<u64>,
    },
    /// A witness knows another log under this name, or a larger one: nothing more is signed.
    Disputed { cause: String },
}

/// The writer's knowledge of the witnesses.
#[derive(Debug, Default)]
pub(super) struct Witnessing {
    bounds: Option<AheadBounds>,
    size: u64,
    /// When the first leaf beyond `size` was made.
    since_ms: Option<u64>,
    disputed: Option<String>,
}

impl Witnessing {
    /// Takes in what the witnesses said, in a transaction of its own; `tree_size` is how many leaves there are.
    pub(super) async fn hear(
        &mut self,
        connection: &mut SqliteConnection,
        word: WitnessWord,
        tree_size: u64,
    ) -> Result<(), JournalError> {
        match word {
            WitnessWord::Bounds(bounds) => self.bounds = Some(bounds),
            WitnessWord::Disputed { cause } => self.disputed = Some(cause),
            WitnessWord::Cosigned {
                cosignatures,
                witnessed_size,
            } => {
                store(connection, &cosignatures).await?;
                self.size = witnessed_size.unwrap_or(0).max(self.size);
            }
        }
        self.since_ms = if self.size < tree_size {
            Some(made_at_ms(connection, self.size).await?)
        } else {
            None
        };
        Ok(())
    }

    /// Leaves were committed at this time.
    pub(super) fn grew(&mut self, wall_ms: u64) {
        self.since_ms.get_or_insert(wall_ms);
    }

    /// Why nothing may be signed any more.
    pub(super) fn refuse_disputed(&self) -> Result<(), JournalError> {
        match &self.disputed {
            Some(cause) => Err(JournalError::Disputed {
                cause: cause.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Whether the log has run so far ahead that no run may begin.
    pub(super) fn refuse_ahead(&self, tree_size: u64, now_ms: u64) -> Result<(), JournalError> {
        let Some(bounds) = self.bounds else {
            return Ok(());
        };
        let leaves = tree_size.saturating_sub(self.size);
        let since_ms = self
            .since_ms
            .map_or(0, |since| now_ms.saturating_sub(since));
        if leaves > bounds.leaves_max || since_ms > bounds.hours_max.saturating_mul(HOUR_MS) {
            return Err(JournalError::AheadOfWitnesses {
                leaves,
                hours: since_ms / HOUR_MS,
                leaves_max: bounds.leaves_max,
                hours_max: bounds.hours_max,
            });
        }
        Ok(())
    }
}

async fn store(
    connection: &mut SqliteConnection,
    cosignatures: &[StoredCosignature],
) -> Result<(), JournalError> {
    let rows: Vec<_> = cosignatures
        .iter()
        .map(|row| (row.tree_size, &row.witness, &row.line, row.time_s))
        .collect();
    // The first word of a witness on a checkpoint stays.
    sqlx::query(
        "INSERT INTO cosignature (tree_size, witness, line, time_s) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true \
         ON CONFLICT (tree_size, witness) DO NOTHING",
    )
    .bind(to_json("cosignatures", &rows)?)
    .execute(connection)
    .await
    .map_err(database("keeping cosignatures"))?;
    Ok(())
}

/// When the leaf at this index was made, by the wall clock.
async fn made_at_ms(connection: &mut SqliteConnection, index: u64) -> Result<u64, JournalError> {
    let leaf: Vec<u8> = sqlx::query_scalar("SELECT leaf FROM entry WHERE leaf_index = ?1")
        .bind(signed(index))
        .fetch_one(connection)
        .await
        .map_err(database("reading the first leaf that is not witnessed"))?;
    Ok(Leaf::decode(&leaf)?.wall_ms)
}
