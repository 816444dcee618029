//! A roster: the operators of a customer or site who may act together, with their roles and keys. Ids, never names.

use serde::{Deserialize, Serialize};

use super::AuthorityError;
use crate::audit::VerifierKey;
use crate::operator::Role;

/// The most members.
pub const MEMBERS_MAX: usize = 128;

/// Members, each person and each key once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The members.
    pub members: Vec<Member>,
}

/// Somebody who may sign acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The operator's random id, as in the journal: 32 hexadecimal digits.
    pub operator: String,
    /// What he may do.
    pub role: Role,
    /// His key. Its name is the operator's id: a roster is copied to every station and into their logs, and names nobody.
    pub key: VerifierKey,
}

impl Roster {
    /// Checks that each person and each key stands once, and that no person is named.
    pub(super) fn check(&self) -> Result<(), AuthorityError> {
        let count = self.members.len();
        if !(1..=MEMBERS_MAX).contains(&count) {
            return Err(AuthorityError::value(
                "a roster of 1 to 128 members",
                &count.to_string(),
            ));
        }
        for (index, member) in self.members.iter().enumerate() {
            let is_id = member.operator.len() == 32
                && member
                    .operator
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !is_id {
                return Err(AuthorityError::value(
                    "an operator's id of 32 lower-case hexadecimal digits",
                    &member.operator,
                ));
            }
            if member.key.name() != member.operator {
                return Err(AuthorityError::value(
                    "a key under its operator's id, because a roster names no person",
                    member.key.name(),
                ));
            }
            let before = &self.members[..index];
            if before.iter().any(|other| other.operator == member.operator) {
                return Err(AuthorityError::value(
                    "each operator once in a roster",
                    &member.operator,
                ));
            }
            let key = member.key.public_key();
            if before.iter().any(|other| other.key.public_key() == key) {
                return Err(AuthorityError::value(
                    "a key of his own for each member of a roster",
                    &member.key.to_string(),
                ));
            }
        }
        Ok(())
    }
}
