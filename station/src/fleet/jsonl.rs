//! Rows of JSON Lines: one object a line.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::member::{Member, Members, known_names, shown_name};
use super::refusal::{Refusal, RefusalCode};

/// An object's members in their order, those that stand twice included.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

/// Reads a row. What the parser says is not repeated: it quotes what it read.
pub(super) fn row(text: &str) -> Result<Members, Refusal> {
    let Object(object) = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let mut members = Members::default();
    let mut seen = Vec::new();
    for (name, value) in object {
        let member = Member::of(&name).ok_or_else(|| unknown(&name))?;
        if seen.contains(&member) {
            return Err(Refusal::new(
                RefusalCode::UnknownMember,
                format!("expected each member once, got {member} twice"),
                "Keep one of them.",
            ));
        }
        seen.push(member);
        match (member, value) {
            (_, Value::Null) => {}
            (Member::Jwk, value) => members.put_jwk(value),
            (_, Value::String(text)) => members.put(member, text),
            (Member::PinnedAt | Member::RevokedAt, Value::Number(number)) => {
                members.put(member, number.to_string());
            }
            _ => {
                return Err(Refusal::new(
                    RefusalCode::NotJson,
                    format!("expected a text for {member}, got something else"),
                    "Put the value in quotes.",
                ));
            }
        }
    }
    Ok(members)
}

fn not_json(error: &serde_json::Error) -> Refusal {
    let got = match error.classify() {
        Category::Eof => "one that breaks off".to_owned(),
        Category::Data => "another JSON value".to_owned(),
        Category::Syntax | Category::Io => {
            format!("text that is no JSON from character {} on", error.column())
        }
    };
    Refusal::new(
        RefusalCode::NotJson,
        format!("expected one JSON object on the line, got {got}"),
        "Write each row as one object on one line.",
    )
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(
        RefusalCode::UnknownMember,
        format!(
            "expected no other members than {}, got {}",
            known_names(),
            shown_name(name)
        ),
        "Take the member out, or correct its name.",
    )
}
