//! Puts a policy together, and refuses what can't stand in one.

use super::{AuditError, ENTRIES_MAX, PolicyLog, Quorum, Signatory, SignatoryKind, TrustPolicy};
use crate::audit::{VerifierKey, WitnessKey};

/// The quorum that asks for nobody.
pub(super) const NONE: &[u8] = b"none";

/// The group of a station's required witnesses.
const REQUIRED: &str = "required";

/// The group of a station's other witnesses.
const OPTIONAL: &str = "optional";

/// Both of them.
const BOTH: &str = "required-and-optional";

/// A policy in the making.
#[derive(Default)]
pub(super) struct Builder {
    logs: Vec<PolicyLog>,
    signatories: Vec<Signatory>,
    /// For each signatory, whether a group has it.
    grouped: Vec<bool>,
    quorum: Option<Quorum>,
}

/// What was expected instead, and what came; the caller knows the line.
pub(super) type Refused = (&'static str, String);

impl Builder {
    /// Adds a log.
    pub(super) fn log(&mut self, key: VerifierKey, url: Option<&[u8]>) -> Result<(), Refused> {
        let known = self
            .logs
            .iter()
            .any(|log| log.key.public_key() == key.public_key());
        if known {
            return Err(("each log's public key once", key.to_string()));
        }
        if self.logs.len() == ENTRIES_MAX {
            return Err(("at most 64 logs", "one more".to_owned()));
        }
        let url = url.map(<[u8]>::to_vec);
        self.logs.push(PolicyLog { key, url });
        Ok(())
    }

    /// Adds a witness.
    pub(super) fn witness(
        &mut self,
        name: &[u8],
        key: WitnessKey,
        url: Option<&[u8]>,
    ) -> Result<(), Refused> {
        let mut witnesses = 0;
        for signatory in &self.signatories {
            let SignatoryKind::Witness { key: other, .. } = &signatory.kind else {
                continue;
            };
            witnesses += 1;
            if other.public_key() == key.public_key() {
                return Err(("each witness's public key once", key.to_string()));
            }
        }
        if witnesses == ENTRIES_MAX {
            return Err(("at most 64 witnesses", "one more".to_owned()));
        }
        self.define(
            name,
            SignatoryKind::Witness {
                key: Box::new(key),
                url: url.map(<[u8]>::to_vec),
            },
        )
    }

    /// Adds a group of which at least `threshold(number of members)` have to have witnessed.
    pub(super) fn group(
        &mut self,
        name: &[u8],
        threshold: impl FnOnce(usize) -> Option<usize>,
        members: &[&[u8]],
    ) -> Result<(), Refused> {
        let groups = self.signatories.len() - self.witness_count();
        if groups == ENTRIES_MAX {
            return Err(("at most 64 groups", "one more".to_owned()));
        }
        if members.is_empty() {
            return Err(("a group with at least one member", super::shown(name)));
        }
        let threshold = threshold(members.len())
            .filter(|threshold| (1..=members.len()).contains(threshold))
            .ok_or_else(|| {
                let got = format!("another one for {} members", members.len());
                ("all, any or a number from 1 to that of the members", got)
            })?;
        let mut places = Vec::with_capacity(members.len());
        for member in members {
            let place = self.place(member)?;
            if std::mem::replace(&mut self.grouped[place], true) {
                return Err((
                    "each name as a member of one group, once",
                    super::shown(member),
                ));
            }
            places.push(place);
        }
        self.define(
            name,
            SignatoryKind::Group {
                threshold,
                members: places,
            },
        )
    }

    /// Sets the quorum.
    pub(super) fn quorum(&mut self, name: &[u8]) -> Result<(), Refused> {
        if self.quorum.is_some() {
            return Err(("one quorum", "another one".to_owned()));
        }
        self.quorum = Some(if name == NONE {
            Quorum::Nobody
        } else {
            Quorum::Of(self.place(name)?)
        });
        Ok(())
    }

    /// The policy.
    pub(super) fn finish(self) -> Result<TrustPolicy, Refused> {
        let quorum = self
            .quorum
            .ok_or_else(|| ("a quorum line", "none".to_owned()))?;
        Ok(TrustPolicy {
            logs: self.logs,
            signatories: self.signatories,
            quorum,
        })
    }

    fn witness_count(&self) -> usize {
        let is_witness =
            |signatory: &&Signatory| matches!(signatory.kind, SignatoryKind::Witness { .. });
        self.signatories.iter().filter(is_witness).count()
    }

    fn place(&self, name: &[u8]) -> Result<usize, Refused> {
        self.signatories
            .iter()
            .position(|signatory| signatory.name == name)
            .ok_or_else(|| {
                let expected = "the name of a witness or group from a line before";
                (expected, super::shown(name))
            })
    }

    fn define(&mut self, name: &[u8], kind: SignatoryKind) -> Result<(), Refused> {
        if name == NONE {
            return Err(("another name than the predefined one", super::shown(name)));
        }
        if self.place(name).is_ok() {
            return Err(("a name that is not taken", super::shown(name)));
        }
        let name = name.to_vec();
        self.signatories.push(Signatory { name, kind });
        self.grouped.push(false);
        Ok(())
    }
}

/// See [`TrustPolicy::of_station`].
pub(super) fn of_station(
    log_keys: &[VerifierKey],
    witnesses: &[(WitnessKey, String, bool)],
    cosignatures_min: usize,
) -> Result<TrustPolicy, AuditError> {
    let refuse = |(expected, got)| AuditError::Policy {
        line: None,
        expected,
        got,
    };
    if cosignatures_min > witnesses.len() {
        let got = format!("{cosignatures_min} of {}", witnesses.len());
        return Err(refuse(("at most as many cosignatures as witnesses", got)));
    }
    let mut builder = Builder::default();
    for key in log_keys {
        builder.log(key.clone(), None).map_err(refuse)?;
    }
    let (mut required, mut optional) = (Vec::new(), Vec::new());
    for (key, url, is_required) in witnesses {
        if url.is_empty() || url.contains(|c: char| c.is_ascii_whitespace() || c.is_control()) {
            return Err(refuse(("a URL without spaces", format!("{url:?}"))));
        }
        let name = policy_name(key, witnesses);
        builder
            .witness(name.as_bytes(), key.clone(), Some(url.as_bytes()))
            .map_err(refuse)?;
        let names = if *is_required {
            &mut required
        } else {
            &mut optional
        };
        names.push(name);
    }
    let more = cosignatures_min.saturating_sub(required.len());
    let required = joined(&mut builder, REQUIRED, &required, required.len());
    let optional = joined(&mut builder, OPTIONAL, &optional, more);
    let quorum = match (required.map_err(refuse)?, optional.map_err(refuse)?) {
        (None, None) => String::from_utf8_lossy(NONE).into_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(first), Some(second)) => {
            let members = [first.as_bytes(), second.as_bytes()];
            builder
                .group(BOTH.as_bytes(), Some, &members)
                .map_err(refuse)?;
            BOTH.to_owned()
        }
    };
    builder.quorum(quorum.as_bytes()).map_err(refuse)?;
    builder.finish().map_err(refuse)
}

/// The name of a signatory that stands for `threshold` of `members`: none for none, the member itself where it is alone, else a group.
fn joined(
    builder: &mut Builder,
    group: &str,
    members: &[String],
    threshold: usize,
) -> Result<Option<String>, Refused> {
    if threshold == 0 {
        return Ok(None);
    }
    if let [one] = members {
        return Ok(Some(one.clone()));
    }
    let members: Vec<&[u8]> = members.iter().map(String::as_bytes).collect();
    builder.group(group.as_bytes(), |_| Some(threshold), &members)?;
    Ok(Some(group.to_owned()))
}

/// A key's name has no `+`, so `NAME+KEYID` is nobody else's name.
fn policy_name(key: &WitnessKey, witnesses: &[(WitnessKey, String, bool)]) -> String {
    let name = key.name();
    let reserved = [REQUIRED, OPTIONAL, BOTH].contains(&name) || name.as_bytes() == NONE;
    let shared = witnesses
        .iter()
        .filter(|(other, _, _)| other.name() == name)
        .count()
        > 1;
    if reserved || shared {
        format!("{name}+{:08x}", key.key_id())
    } else {
        name.to_owned()
    }
}
