//! Whom the station believes: the root policy, and until when what its keys signed counts.

use std::path::Path;

use super::super::chain;
use super::{fail, ok, warn};
use crate::app::root_policy;
use crate::authority::{Bundle, Document};
use crate::clock::{text as time, wall_ms};
use crate::event::CheckResult;
use crate::home::Config;
use crate::journal::{JournalError, JournalReader};

/// How long before its end a bundle is warned of: thirty days, in milliseconds. A ceremony takes its time.
const WARNED_BEFORE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// The root policy.
pub(super) fn root(home: &Path, config: &Config) -> CheckResult {
    if config.authority.root_digest.is_none() {
        return warn(
            "authority",
            "this home is older than root policies and pins none".to_owned(),
            "The next command on it pins a demonstration's; for a factory make a new home with `keyline init --authority FILE`.",
        );
    }
    match root_policy(home, config) {
        Err(error) => fail("authority", chain(&error), error.next()),
        Ok(policy) if policy.is_demo() => warn(
            "authority",
            "the authority is a demonstration: whoever has this home can say which products are built and who may act".to_owned(),
            "Fine to try things out; for a factory make a root (docs/CEREMONY.md) and a home with `keyline init --authority FILE`.",
        ),
        Ok(policy) => ok(
            "authority",
            format!(
                "the root {}: {} of {} keys, digest {}",
                policy.name(),
                policy.threshold(),
                policy.keys().len(),
                hex::encode(policy.digest())
            ),
        ),
    }
}

/// What was signed and expires soon, or did. `None` where nothing was signed.
pub(super) async fn bundles(home: &Path, config: &Config) -> Option<CheckResult> {
    const CHECK: &str = "authority-bundles";
    let look = async {
        let reader = JournalReader::open(&home.join(&config.journal.path)).await?;
        let live = reader.products().await?;
        let live = live
            .into_iter()
            .filter(|product| product.retired_at_ms.is_none());
        let live: Vec<_> = live.map(|product| product.name).collect();
        let mut stored = reader.bundles().await?;
        // Nobody needs a new version of what is built no more.
        stored.retain(|bundle| bundle.kind != "product" || live.contains(&bundle.subject));
        Ok::<_, JournalError>(stored)
    };
    // A journal that can't be read is told of by its own check.
    let stored = look.await.ok().filter(|stored| !stored.is_empty())?;
    let now_ms = wall_ms();
    let mut ending = Vec::new();
    for bundle in &stored {
        let found =
            Document::read(&bundle.note).and_then(|document| Bundle::parse(&document.note.text));
        match found {
            Ok(found) if found.terms().expires_ms <= now_ms.saturating_add(WARNED_BEFORE_MS) => {
                ending.push(format!(
                    "the {} ends at {}",
                    found.words(),
                    time(found.terms().expires_ms)
                ));
            }
            Ok(_) => {}
            Err(error) => {
                return Some(fail(
                    CHECK,
                    chain(&error),
                    "Run `keyline audit verify --deep`.",
                ));
            }
        }
    }
    Some(if ending.is_empty() {
        ok(
            CHECK,
            format!("{} signed bundles, none ends within 30 days", stored.len()),
        )
    } else {
        warn(
            CHECK,
            ending.join("; "),
            "Have new versions signed before that: a product whose bundle has ended takes no new orders, a roster approves nothing.",
        )
    })
}
