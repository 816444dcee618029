//! What the page shows.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_station::dossier::Outcome;
use keyline_station::record::{Product, UnitState};
use keyline_station::report::{Window, render, verify};

use crate::common::{self, Bench, product, unit};
use crate::lot::{
    HOSTILE_CUSTOMER, HOSTILE_PRODUCT, HOSTILE_SERIAL, broken, collect, device, lot, policy_of,
};

/// The table row of a unit.
fn row_of(page: &str, number: u32) -> String {
    let id = device(number).0.to_string();
    row_with(page, &id)
}

fn row_with(page: &str, device_id: &str) -> String {
    let begin = format!("<th scope=\"row\" class=\"code\">{device_id}</th>");
    let mut lines = page.lines().filter(|line| line.contains(&begin));
    let row = lines
        .next()
        .unwrap_or_else(|| panic!("no row of {device_id}"));
    assert!(lines.next().is_none(), "one row");
    row.to_owned()
}

/// The page without the data in it: what is looked at.
fn visible(page: &str) -> &str {
    page.split_once("<script type=").unwrap().0
}

#[test]
fn it_verifies_with_the_keys_alone() {
    let lot = lot();
    let verdict = lot.verdict();
    assert_eq!(broken(&verdict), Vec::<String>::new());
    assert!(verdict.holds());
    assert_eq!(
        verdict.result,
        "10 units: 2 passed, 0 weak, 1 held, 3 failed, 2 quarantined, 1 scrapped, 1 not ended"
    );
    for check in [
        "entries",
        "checkpoint",
        "proof",
        "freshness",
        "key",
        "product",
        "agent",
        "result",
        "shipped",
        "page",
    ] {
        let held = |one: &&keyline_station::dossier::Finding| {
            one.check == check && one.outcome == Outcome::Holds
        };
        assert!(verdict.findings.iter().any(|one| held(&one)), "{check}");
    }
    let honest = verdict
        .findings
        .iter()
        .find(|one| one.check == "completeness");
    assert_eq!(honest.unwrap().outcome, Outcome::Note);
}

#[test]
fn every_unit_stands_there_with_its_state_in_a_word() {
    let page = lot().page;
    for (number, word, pin) in [
        (1, "passed", "<td>yes</td>"),
        (2, "failed", "<td>revoked</td>"),
        (3, "quarantined", "<td>yes</td>"),
        (4, "scrapped", "<td>yes</td>"),
        (5, "failed", "<td>no</td>"),
        (6, "quarantined", "<td>no</td>"),
        (7, "failed", "<td>no</td>"),
        (8, "not ended", "<td>no</td>"),
        (9, "held", "<td>no</td>"),
        (20, "passed", "<td>yes</td>"),
    ] {
        let row = row_of(&page, number);
        assert!(
            row.contains(&format!("</span> {word}</td>")),
            "{word}: {row}"
        );
        assert!(row.contains(pin), "{number} {pin}: {row}");
    }
    assert!(row_of(&page, 2).contains("TH-2"));
}

#[test]
fn nothing_on_the_page_runs_or_is_fetched() {
    let page = lot().page;
    assert_eq!(page.matches("<script").count(), 1, "the data, nothing else");
    assert_eq!(page.matches("</script").count(), 1);
    let shown = visible(&page).to_lowercase();
    for forbidden in [
        "<img", "src=", "href=", "<link", "<iframe", "url(", "@import",
    ] {
        let escaped = shown.replace("&#60;img src=x&#62;", "");
        assert!(!escaped.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"));
    assert!(!page.contains("unsafe"));
    let data = page.split_once("id=\"keyline-report\">").unwrap().1;
    let data = data.split_once("</script>").unwrap().0;
    assert!(!data.contains('<'), "nothing in it ends it");
}

#[test]
fn hostile_names_are_only_text() {
    let lot = lot();
    let page = &lot.page;
    for raw in [HOSTILE_PRODUCT, HOSTILE_CUSTOMER, HOSTILE_SERIAL] {
        assert!(!page.contains(raw), "{raw}");
    }
    assert!(!page.contains('\u{202e}'), "nothing turns the line");
    let row = row_of(page, 7);
    let shown = "\\u{202e}&#60;img src=x&#62;\\u{200b}--&#62;&#60;!--";
    assert!(row.contains(&shown.repeat(8)), "{row}");
    let product = "&#60;/title&#62;&#60;/script&#62;&#60;script&#62;alert(1)";
    assert!(visible(page).contains(product));
    assert!(visible(page).contains("&#34;&#39; onload=alert(2) &#38; &#60;b&#62;acme"));
}

#[test]
fn a_weak_pass_is_counted_apart() {
    let mut bench = Bench::for_product(Product {
        platform: Platform::Nrf52832,
        key_policy: KeyPolicy::Station,
        algorithm: Algorithm::Rsa2048,
        lock_policy: LockPolicy::Open,
        ..product()
    });
    bench.keys = common::station_keys();
    let one = unit(Platform::Nrf52832, 1);
    assert_eq!(bench.run(&one).state, UnitState::Weak);
    let page = render(&collect(&bench, bench.order.id, Window::default())).unwrap();
    let verdict = verify(&page, &policy_of(&bench));
    assert_eq!(broken(&verdict), Vec::<String>::new());
    assert!(
        verdict.result.starts_with("1 units: 0 passed, 1 weak"),
        "{}",
        verdict.result
    );
    let row = row_with(&page, &one.device_id().to_string());
    assert!(
        row.contains("</span> weak</td>") && row.contains("weak: MAC"),
        "{row}"
    );
    assert!(page.contains("<strong>No witness has signed it:</strong>"));
}

#[test]
fn an_order_without_units_has_a_report() {
    let bench = Bench::for_product(product());
    let page = render(&collect(&bench, bench.order.id, Window::default())).unwrap();
    let verdict = verify(&page, &policy_of(&bench));
    assert_eq!(broken(&verdict), Vec::<String>::new());
    assert!(page.contains("No unit is listed."));
}

#[test]
fn the_same_log_makes_the_same_page() {
    let lot = lot();
    assert_eq!(render(&lot.report).unwrap(), lot.page);
}

#[test]
fn a_unit_that_comes_back_locked_passes_by_what_it_has_shown_before() {
    let bench = Bench::for_product(Product {
        lock_policy: LockPolicy::ReadBack,
        ..product()
    });
    let locked = unit(Platform::Nrf51822, 1);
    let present = || Box::new(keyline_station::link::SimTarget::new(locked.clone()));
    let first = bench.run_target(present(), Some("TH-1"));
    assert_eq!(first.state, UnitState::Passed, "{:?}", first.error);
    let again = bench.run_target(present(), Some("TH-1"));
    assert!(again.already, "{again:?}");
    let page = render(&collect(&bench, bench.order.id, Window::default())).unwrap();
    let verdict = verify(&page, &policy_of(&bench));
    assert_eq!(broken(&verdict), Vec::<String>::new());
    let known = |one: &keyline_station::dossier::Finding| one.words.contains("known by its serial");
    assert!(verdict.findings.iter().any(known), "{:?}", verdict.findings);
    assert!(row_of(&page, 1).contains("signed"));
}
