//! The page is a format: pages that were handed out verify for years.

use keyline_station::audit::TrustPolicy;
use keyline_station::report::verify;

use crate::lot::broken;

/// A page as version 1 wrote it, and the policy of that station. Do not make them anew: where this fails, the page or its data have
/// changed, and whatever is changed in them needs a new version of the format beside this one.
const PAGE: &str = include_str!("v1.html");
const POLICY: &str = include_str!("v1.policy");

#[test]
fn a_page_of_version_1_verifies_for_ever() {
    let verdict = verify(PAGE, &TrustPolicy::parse(POLICY).unwrap());
    assert_eq!(broken(&verdict), Vec::<String>::new());
    assert!(
        verdict.result.starts_with("10 units: 3 passed"),
        "a revoked one among them: {}",
        verdict.result
    );
}
