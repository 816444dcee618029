//! Dossiers that somebody put together from true parts.

use keyline_station::audit::{FileSigner, TrustPolicy};
use keyline_station::dossier::verify;

use crate::line::{assert_broken, broken, built, dossier, policy};

#[test]
fn parts_of_one_unit_do_not_prove_another() {
    let (station, ids) = built(2);
    let policy = policy(&station);
    let (first, second) = (dossier(&station, &ids[0]), dossier(&station, &ids[1]));
    assert!(verify(&first, &policy).holds());

    let mut renamed = first.clone();
    renamed.device_id = second.device_id;
    assert_broken(&renamed, &policy, "unit");

    let mut mixed = first.clone();
    mixed.entries.extend(second.entries.clone());
    mixed.entries.sort_by_key(|entry| entry.index);
    mixed.entries.dedup_by_key(|entry| entry.index);
    assert_broken(&mixed, &policy, "unit");

    let mut registry = first.clone();
    registry.registry = second.registry;
    assert_broken(&registry, &policy, "registry");
}

#[test]
fn a_pass_needs_its_proof_its_product_and_its_checkpoint() {
    let (station, ids) = built(1);
    let policy = policy(&station);
    let whole = dossier(&station, &ids[0]);
    let without = |words: &str| {
        let mut dossier = whole.clone();
        let before = dossier.entries.len();
        dossier.entries.retain(|entry| !entry.body.contains(words));
        assert!(dossier.entries.len() < before, "{words}");
        dossier
    };
    assert_broken(
        &without("\"step\":\"proven\",\"transcript\""),
        &policy,
        "result",
    );
    assert_broken(&without("\"kind\":\"product-added\""), &policy, "product");
    assert_broken(&without("\"kind\":\"order-added\""), &policy, "product");
    // Without its end the run says that it has none, and claims no pass.
    let open = verify(&without("\"kind\":\"run-ended\""), &policy);
    assert!(open.holds());
    assert_eq!(open.result, "not ended");

    let mut stale = whole.clone();
    stale.earlier.clear();
    assert_broken(&stale, &policy, "freshness");
    let mut twice = whole.clone();
    let entry = twice.entries[3].clone();
    twice.entries.insert(3, entry);
    assert_broken(&twice, &policy, "entries");
    let mut swapped = whole.clone();
    swapped.entries.swap(2, 3);
    assert_broken(&swapped, &policy, "entries");
    let mut silent = whole;
    silent.registry = None;
    let verdict = verify(&silent, &policy);
    assert!(verdict.holds(), "the registry's word is not needed");
    assert!(
        verdict
            .findings
            .iter()
            .any(|finding| finding.check == "registry")
    );
}

#[test]
fn another_log_s_key_and_a_missing_witness_are_refused() {
    let (station, ids) = built(1);
    let dossier = dossier(&station, &ids[0]);
    let directory = tempfile::tempdir().unwrap();
    let other = FileSigner::generate(&directory.path().join("other.pem")).unwrap();
    let other = keyline_station::audit::CheckpointSigner::File(other);
    let key = other.verifier_key("station-1").unwrap();
    let stranger = TrustPolicy::of_station(&[key], &[], 0).unwrap();
    assert_eq!(broken(&verify(&dossier, &stranger)), ["checkpoint"]);

    let witness =
        keyline_station::audit::WitnessKey::new("w.example", &other.public_key()).unwrap();
    let witnesses = [(witness, "https://w.example".to_owned(), true)];
    let keys = policy(&station).log_keys();
    let strict = TrustPolicy::of_station(&keys, &witnesses, 1).unwrap();
    let verdict = verify(&dossier, &strict);
    assert_eq!(broken(&verdict), ["checkpoint"]);
    let words = &verdict
        .findings
        .iter()
        .find(|one| one.check == "checkpoint")
        .unwrap()
        .words;
    assert!(words.contains("w.example"), "{words}");
}
