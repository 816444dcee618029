//! The page: a function of the data alone, so that it can be made again.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use super::contents::{Contents, LotUnit, PinWord, ProofKind, open};
use super::{FORMATS, PAGE_BEGIN, Report, ReportError, Window, data};
use crate::audit::{Checkpoint, SignedNote};
use crate::clock;
use crate::dossier::log::read_head;
use crate::record::UnitState;

/// The style sheet: part of the page.
const STYLE: &str = include_str!("../../../web/report/report.css");

/// Every state, in the order of the counts: its word, and a mark that tells it without colour.
const STATES: [(UnitState, &str, &str); 7] = [
    (UnitState::Passed, "passed", "\u{2713}"),
    (UnitState::Weak, "weak", "\u{2248}"),
    (UnitState::Held, "held", "\u{2016}"),
    (UnitState::Failed, "failed", "\u{2717}"),
    (UnitState::Quarantined, "quarantined", "!"),
    (UnitState::Scrapped, "scrapped", "\u{2298}"),
    (UnitState::InProgress, "not ended", "\u{2026}"),
];

#[derive(Template)]
#[template(path = "report/report.html")]
struct Page<'p> {
    begin: &'static str,
    style: &'static str,
    style_digest: String,
    data_begin: &'static str,
    data: &'p str,
    order: String,
    customer: String,
    station: String,
    window: Option<String>,
    ordered: Vec<Fact>,
    product: Vec<Fact>,
    counts: Vec<Count>,
    listed: usize,
    head: Checkpoint,
    root: String,
    signatures: Vec<Signature>,
    cosigned: bool,
    units: Vec<Row>,
}

/// A line of a list: what, and its value.
struct Fact {
    name: &'static str,
    value: String,
    /// Whether it is read letter by letter.
    is_code: bool,
}

struct Count {
    word: &'static str,
    mark: &'static str,
    units: usize,
}

struct Signature {
    name: String,
    key_id: String,
    who: &'static str,
    at: String,
}

struct Row {
    device_id: String,
    serial: String,
    word: &'static str,
    mark: &'static str,
    class: &'static str,
    key: String,
    proof: &'static str,
    pin: &'static str,
    leaf: u64,
    date: String,
    time: String,
}

/// The page of a report: HTML that needs nothing else.
///
/// # Errors
/// [`ReportError::Contents`] where the entries make no report; [`ReportError::Page`] or [`ReportError::Data`] where it can't be written.
pub fn render(report: &Report) -> Result<String, ReportError> {
    let head = read_head(&report.checkpoint).map_err(ReportError::Contents)?;
    let (told, wrong) = open(report);
    if let Some(words) = wrong.into_iter().next() {
        return Err(ReportError::Contents(words));
    }
    let contents = Contents::new(report, &told).map_err(ReportError::Contents)?;
    write(report, &head, &contents)
}

/// The page of a report whose contents are made out already.
pub(super) fn write(
    report: &Report,
    head: &Checkpoint,
    contents: &Contents<'_, '_>,
) -> Result<String, ReportError> {
    let data = data::write(report)?;
    let signatures = signatures(&report.checkpoint)?;
    let count = |state| {
        contents
            .units
            .iter()
            .filter(|unit| unit.state == state)
            .count()
    };
    let of_format = |(format, _): &&(&str, &str)| *format == report.format;
    let page = Page {
        begin: FORMATS
            .iter()
            .find(of_format)
            .map_or(PAGE_BEGIN, |(_, begin)| begin),
        style: STYLE,
        style_digest: BASE64.encode(Sha256::digest(STYLE)),
        data_begin: data::DATA_BEGIN,
        data: &data,
        order: plain(&contents.order.name),
        customer: plain(&contents.product.customer),
        station: contents
            .station
            .map_or_else(|| "not stated".to_owned(), |id| id.to_string()),
        window: words_of(report.window),
        ordered: ordered(contents),
        product: product(contents),
        counts: STATES
            .iter()
            .map(|(state, word, mark)| Count {
                word,
                mark,
                units: count(*state),
            })
            .collect(),
        listed: contents.units.len(),
        root: hex::encode(head.root),
        cosigned: signatures.iter().any(|line| line.who == WITNESS),
        head: Checkpoint {
            origin: plain(&head.origin),
            ..head.clone()
        },
        signatures,
        units: contents.units.iter().map(row).collect(),
    };
    // A template ends without the newline of its file.
    page.render()
        .map(|page| page + "\n")
        .map_err(ReportError::Page)
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        name,
        value: value.into(),
        is_code: false,
    }
}

fn code(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        is_code: true,
        ..fact(name, value)
    }
}

fn ordered(contents: &Contents<'_, '_>) -> Vec<Fact> {
    let order = contents.order;
    let mut facts = vec![
        code("Order id", order.id.to_string()),
        fact("Quantity", order.quantity.to_string()),
        fact("Rework", if order.rework { "yes" } else { "no" }),
        fact("Added", clock::text(order.added_at_ms)),
        fact(
            "Closed",
            contents
                .closed_at_ms
                .map_or_else(|| "not by these entries".to_owned(), clock::text),
        ),
        fact("Units shipped", contents.shipped.len().to_string()),
    ];
    facts.push(code("Agent digest", hex::encode(order.agent_digest)));
    facts
}

fn product(contents: &Contents<'_, '_>) -> Vec<Fact> {
    let product = contents.product;
    vec![
        fact("Name", plain(&product.name)),
        code("Product id", product.id.to_string()),
        fact("Customer", plain(&product.customer)),
        fact("Chip", product.platform.name()),
        fact("Key policy", product.key_policy.name()),
        fact("Algorithm", product.algorithm.name()),
        fact("Lock policy", product.lock_policy.name()),
        code(
            "Cloud key digest",
            hex::encode(product.cloud_key_fingerprint()),
        ),
        code("Cloud address", plain(&product.cloud_address)),
    ]
}

const WITNESS: &str = "a witness";

/// Who has signed the checkpoint, by the shape of the signatures: whether they are good is for [`super::verify`] to say.
fn signatures(note: &str) -> Result<Vec<Signature>, ReportError> {
    /// A time of 8 bytes and an Ed25519 signature.
    const COSIGNATURE_LENGTH: usize = 72;
    let note = SignedNote::parse(note)
        .map_err(|error| ReportError::Contents(crate::error_text::chain(&error)))?;
    let line = |line: &crate::audit::NoteSignature| {
        let (who, at) = match line.signature.split_first_chunk::<8>() {
            Some((time_s, _)) if line.signature.len() == COSIGNATURE_LENGTH => {
                let time_ms = u64::from_be_bytes(*time_s).saturating_mul(1_000);
                (WITNESS, clock::text(time_ms))
            }
            _ => ("the log", String::new()),
        };
        Signature {
            name: plain(&line.name),
            key_id: format!("{:08x}", line.key_id),
            who,
            at,
        }
    };
    Ok(note.signatures.iter().map(line).collect())
}

fn words_of(window: Window) -> Option<String> {
    let from = window
        .from_ms
        .map(|from| format!("from {}", clock::text(from)));
    let to = window.to_ms.map(|to| format!("before {}", clock::text(to)));
    let words: Vec<_> = from.into_iter().chain(to).collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

fn row(unit: &LotUnit<'_, '_>) -> Row {
    let state = STATES.iter().find(|(state, ..)| *state == unit.state);
    let (_, word, mark) = state.copied().unwrap_or((unit.state, "unknown", "?"));
    let at = clock::text(unit.at_ms);
    let (date, time) = at.split_once('T').unwrap_or((&at, ""));
    Row {
        device_id: unit.device_id.0.to_string(),
        serial: unit.serial.map(plain).unwrap_or_default(),
        word,
        mark,
        class: unit.state.name(),
        key: unit.key.map(hex::encode).unwrap_or_default(),
        proof: match unit.proof {
            Some(ProofKind::Signed) => "signed",
            Some(ProofKind::Weak) => "weak: MAC",
            None => "none",
        },
        pin: match unit.pin {
            PinWord::Yes => "yes",
            PinWord::No => "no",
            PinWord::Revoked => "revoked",
        },
        leaf: unit.leaf_last,
        date: date.to_owned(),
        time: time.trim_end_matches('Z').to_owned(),
    }
}

/// A text as it is shown: what can't be seen, or turns the direction of what can, is written as its number. The template escapes the
/// rest.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for found in text.chars() {
        if found == ' ' || !hides(found) {
            shown.push(found);
        } else {
            shown.extend(found.escape_unicode());
        }
    }
    shown
}

/// Controls, spaces of any width but one, and Unicode's format characters (general category Cf), among them all that change the
/// direction of writing; variation selectors and private characters, which look like nothing or like anything.
fn hides(found: char) -> bool {
    found.is_control()
        || found.is_whitespace()
        || matches!(found,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_is_written_out() {
        for (text, shown) in [
            ("TH-000123", "TH-000123"),
            ("\u{202e}321-HT", "\\u{202e}321-HT"),
            ("a\u{200b}b\u{a0}c\nd e", "a\\u{200b}b\\u{a0}c\\u{a}d e"),
            ("na\u{ef}ve \u{5d0}\u{5d1}", "na\u{ef}ve \u{5d0}\u{5d1}"),
            ("<b>&\"'", "<b>&\"'"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn the_style_fetches_nothing_and_ends_nothing() {
        for forbidden in ["url(", "@import", "</", "http"] {
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
    }
}
