//! How far the log may run ahead of what witnesses have seen of it, and what they said.

use sqlx::SqliteConnection;

use super::JournalError;
use super::ahead::Ahead;
use super::clock::Moment;
use super::error::database;
use super::model::{AheadBounds, StoredCosignature};
use super::open::moment;
use super::row::{signed, to_json, unsigned};

const HOUR_MS: u64 = 3_600_000;

/// How many leaves that no witness has seen are looked at when a journal was opened: as many as a configuration lets it run ahead, as long
/// as nobody changes it. Of more the last one is looked at.
const LEAVES_MAX: u32 = 100_000;

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
    /// The leaves beyond `size`; kept where there are bounds.
    ahead: Ahead,
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
        if self.bounds.is_some() && !self.ahead.witnessed(self.size, tree_size) {
            self.ahead.clear();
            for (index, moment) in made_since(connection, self.size).await? {
                self.ahead.grew(index, moment);
            }
        }
        Ok(())
    }

    /// Leaves from `index` on were committed at this moment.
    pub(super) fn grew(&mut self, index: u64, moment: Moment) {
        if self.bounds.is_some() {
            self.ahead.grew(index, moment);
        }
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

    /// Whether the log has run so far ahead that no run may begin, or was never witnessed at all: a witness that has seen nothing of it can't
    /// say whether it is the only one.
    pub(super) fn refuse_ahead(&self, tree_size: u64, now: &Moment) -> Result<(), JournalError> {
        let Some(bounds) = self.bounds else {
            return Ok(());
        };
        let leaves = tree_size.saturating_sub(self.size);
        let since_ms = self.ahead.elapsed_ms(now);
        if leaves > bounds.leaves_max || since_ms > bounds.hours_max.saturating_mul(HOUR_MS) {
            return Err(JournalError::AheadOfWitnesses {
                leaves,
                hours: since_ms / HOUR_MS,
                leaves_max: bounds.leaves_max,
                hours_max: bounds.hours_max,
            });
        }
        if self.size == 0 {
            return Err(JournalError::NeverWitnessed);
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

/// When the leaves from this index on were made; the last one is among them.
async fn made_since(
    connection: &mut SqliteConnection,
    index: u64,
) -> Result<Vec<(u64, Moment)>, JournalError> {
    let leaves: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT leaf_index, leaf FROM (SELECT leaf_index, leaf FROM entry WHERE leaf_index >= ?1 ORDER BY leaf_index LIMIT ?2) \
         UNION SELECT leaf_index, leaf FROM entry WHERE leaf_index = (SELECT max(leaf_index) FROM entry) ORDER BY leaf_index",
    )
    .bind(signed(index))
    .bind(LEAVES_MAX)
    .fetch_all(connection)
    .await
    .map_err(database("reading the leaves that are not witnessed"))?;
    let leaves = leaves.into_iter();
    leaves
        .map(|(index, leaf)| Ok((unsigned(index)?, moment(&leaf)?)))
        .collect()
}
