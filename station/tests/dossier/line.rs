//! A station that has built units, and the dossiers of them.

use std::path::PathBuf;

use keyline_station::audit::TrustPolicy;
use keyline_station::dossier::{Dossier, Outcome, Verdict, verify};

use crate::station::Station;

/// A station with so many passed units of the order `WO-1`: their device ids.
pub(crate) fn built(units: u32) -> (Station, Vec<String>) {
    let station = Station::with_order(100);
    let count = units.to_string();
    station
        .run(&["provision", "--order", "WO-1", "--count", &count])
        .good();
    let list = station.run(&["unit", "list"]).good();
    let ids = list.all("unit-record").into_iter();
    let ids = ids.map(|unit| unit["device_id"].as_str().unwrap().to_owned());
    let ids = ids.collect();
    (station, ids)
}

/// The policy that the station prints.
pub(crate) fn policy(station: &Station) -> TrustPolicy {
    TrustPolicy::parse(policy_text(station)).unwrap()
}

pub(crate) fn policy_text(station: &Station) -> String {
    let printed = station.run(&["audit", "policy"]).good();
    let document = printed.all("document")[0]["text"].as_str().unwrap();
    document.to_owned()
}

/// Writes a unit's dossier.
pub(crate) fn prove(station: &Station, unit: &str, name: &str) -> PathBuf {
    let path = station.directory().join(name);
    let out = path.display().to_string();
    station.run(&["audit", "prove", unit, "--out", &out]).good();
    path
}

/// Writes and reads a unit's dossier.
pub(crate) fn dossier(station: &Station, unit: &str) -> Dossier {
    let path = prove(station, unit, &format!("{unit}.json"));
    Dossier::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The checks that are broken, by name.
pub(crate) fn broken(verdict: &Verdict) -> Vec<&'static str> {
    let findings = verdict.findings.iter();
    let broken = findings.filter(|finding| finding.outcome == Outcome::Broken);
    broken.map(|finding| finding.check).collect()
}

/// The dossier does not hold, and it is this check that says so.
pub(crate) fn assert_broken(dossier: &Dossier, policy: &TrustPolicy, check: &str) {
    let verdict = verify(dossier, policy);
    assert!(!verdict.holds());
    assert!(broken(&verdict).contains(&check), "{:?}", verdict.findings);
}
