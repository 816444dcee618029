//! What a root policy, a bundle or an act says, for people and for scripts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::authority::{BundleBody, Document, DocumentText};

/// A root policy, a bundle or an act in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityView {
    /// The file.
    pub file: PathBuf,
    /// `root policy`, `roster bundle`, `product bundle`, `station bundle` or `act`.
    pub what: String,
    /// The policy's name, the bundle's subject, or the act's device id.
    pub subject: String,
    /// SHA-256 of the text, without signatures.
    #[serde(with = "hex::serde")]
    pub digest: [u8; 32],
    /// The bundle's version.
    pub version: Option<u64>,
    /// Until when it counts, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Whether the policy is a demonstration's.
    pub demo: Option<bool>,
    /// The text that is signed, line by line, but for its first line.
    pub lines: Vec<String>,
    /// The names of the keys that signed. Whether their signatures count was checked only where `verified`.
    pub signed_by: Vec<String>,
    /// The file was held against a root policy, and counts.
    pub verified: bool,
}

impl AuthorityView {
    /// What a document says; `verified` has the names of those whose signatures count, where that was checked.
    #[must_use]
    pub fn new(file: &Path, document: &Document, verified: Option<Vec<String>>) -> Self {
        let (what, subject, version, expires_ms, demo) = match &document.text {
            DocumentText::Policy(policy) => (
                "root policy".to_owned(),
                policy.name().to_string(),
                None,
                None,
                Some(policy.is_demo()),
            ),
            DocumentText::Bundle(bundle) => (
                format!("{} bundle", bundle.kind().name()),
                bundle.subject().to_string(),
                Some(bundle.terms().version),
                Some(bundle.terms().expires_ms),
                None,
            ),
            DocumentText::Act(act) => (
                "act".to_owned(),
                act.terms().device_id.0.to_string(),
                None,
                Some(act.terms().expires_ms),
                None,
            ),
        };
        let names = document
            .note
            .signatures
            .iter()
            .map(|line| line.name.clone());
        Self {
            file: file.to_owned(),
            what,
            subject,
            digest: document.digest(),
            version,
            expires_ms,
            demo,
            lines: lines(document),
            verified: verified.is_some(),
            signed_by: verified.unwrap_or_else(|| names.collect()),
        }
    }
}

/// The lines, with a body's fields one by one: what somebody reads before he signs.
fn lines(document: &Document) -> Vec<String> {
    let lines = document.note.text.lines().skip(1);
    let DocumentText::Bundle(bundle) = &document.text else {
        return lines.map(str::to_owned).collect();
    };
    let mut lines: Vec<_> = lines
        .filter(|line| !line.starts_with("body "))
        .map(str::to_owned)
        .collect();
    match bundle.body() {
        BundleBody::Roster(roster) => lines.extend(
            roster
                .members
                .iter()
                .map(|member| format!("member {} {}", member.role.name(), member.key)),
        ),
        BundleBody::Product(product) => lines.extend(fields(product)),
        BundleBody::Station(station) => lines.extend(fields(station)),
    }
    lines
}

fn fields(body: &impl Serialize) -> Vec<String> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(body) else {
        return Vec::new();
    };
    fields
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name} {text}"),
            value => format!("{name} {value}"),
        })
        .collect()
}
