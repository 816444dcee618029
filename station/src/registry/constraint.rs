//! What an error of a database means, on both engines.

use sqlx::error::DatabaseError;

use super::RegistryError;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Somebody else wrote at the same time: read anew, decide anew.
    Lost,
    /// The connection is gone.
    Disconnected,
    /// The database does not allow it to this role.
    Denied,
    /// Anything else: trying again does not help.
    Broken,
}

/// The uniqueness that can only be broken by somebody who writes at the same time: each is looked at before it is written.
///
/// PostgreSQL names the constraint; SQLite says `UNIQUE constraint failed: table.column, …`, and for an index over an expression or
/// with a condition the same, so that the columns tell which one it was.
const RACES: [(&str, &str); 11] = [
    ("key_claim_pkey", "key_claim.fingerprint"),
    (
        "key_claim_turn",
        "key_claim.device_id, key_claim.generation, key_claim.turn",
    ),
    ("pin_pkey", "pin.device_id, pin.generation"),
    (
        "pin_revocation_pkey",
        "pin_revocation.device_id, pin_revocation.generation",
    ),
    (
        "serial_use_pkey",
        "serial_use.product, serial_use.serial, serial_use.turn",
    ),
    (
        "serial_use_of_pin",
        "serial_use.product, serial_use.device_id, serial_use.generation",
    ),
    ("proof_pkey", "proof.nonce"),
    ("alarm_conflict", "a conflict that has gone"),
    ("log_pkey", "log.origin"),
    (
        "log_checkpoint_pkey",
        "log_checkpoint.origin, log_checkpoint.tree_size",
    ),
    (
        "log_checkpoint_previous",
        "log_checkpoint.origin, log_checkpoint.previous_size",
    ),
];

/// PostgreSQL: 40001 serialization failure, 40P01 deadlock (PostgreSQL manual, appendix A). SQLite: 5 busy, 6 locked, and 5's extended
/// codes 261 and 517 (SQLite: Result and Error Codes).
const LOST_CODES: [&str; 6] = ["40001", "40P01", "5", "6", "261", "517"];

/// What an error means.
pub(super) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(error) => meaning_of_answer(error.as_ref()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Meaning::Disconnected,
        _ => Meaning::Broken,
    }
}

fn meaning_of_answer(error: &dyn DatabaseError) -> Meaning {
    let code = error.code().unwrap_or_default();
    if LOST_CODES.contains(&&*code) || error.message().contains("database is locked") {
        return Meaning::Lost;
    }
    if is_race(error) {
        return Meaning::Lost;
    }
    // 42501: no grant, or a row policy. Class 28: the role may not sign in, or showed the wrong thing.
    if code == "42501" || code.starts_with("28") {
        return Meaning::Denied;
    }
    // 55P03: somebody holds a lock for too long; the others of the batch are tried without it.
    if code == "55P03" {
        return Meaning::Lost;
    }
    // 53300: too many connections; 25006: a standby, or a server that became one; 57014: a time limit of the server's.
    if matches!(&*code, "53300" | "25006" | "57014") {
        return Meaning::Disconnected;
    }
    // Class 08: connection exception; 57P01 to 57P03: the server is shutting down or starting.
    if code.starts_with("08") || code.starts_with("57P0") {
        return Meaning::Disconnected;
    }
    Meaning::Broken
}

fn is_race(error: &dyn DatabaseError) -> bool {
    let text = error
        .message()
        .rsplit_once("UNIQUE constraint failed: ")
        .map(|(_, columns)| columns);
    RACES
        .iter()
        .any(|(name, columns)| error.constraint() == Some(name) || text == Some(columns))
}

/// The error for whoever asked.
pub(super) fn explained(doing: &'static str) -> impl FnOnce(sqlx::Error) -> RegistryError {
    move |source| match meaning(&source) {
        Meaning::Disconnected => RegistryError::Unreachable { doing, source },
        Meaning::Denied => RegistryError::NotAllowed { doing, source },
        Meaning::Lost | Meaning::Broken => RegistryError::Database { doing, source },
    }
}
