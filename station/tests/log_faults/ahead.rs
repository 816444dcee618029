//! A witness that is away: the line goes on as far as the configuration lets it, stops there with words, and goes on when it is back.

use keyline_station::audit::Checkpoint;
use serde_json::Value;

use crate::station::Ran;
use crate::stored::{StoredLog, assert_deep, assert_published};
use crate::support::{ended, station_over};
use crate::told::Told;
use crate::witnessed::Witnessed;

/// How far the log may run ahead in these tests: a handful of units.
const AHEAD_LEAVES_MAX: u64 = 120;
const SLOTS: u64 = 2;
/// More than the leaves of one run with those of a start and a stop.
const RUN_LEAVES_MAX: u64 = 30;

fn provision(home: &Witnessed, count: &str) -> Ran {
    home.station
        .run(&["provision", "--order", "WO-1", "--count", count])
}

fn cosigned_size(home: &Witnessed) -> u64 {
    let note = home.cosigned().unwrap();
    Checkpoint::verify(&note, &home.key).unwrap().size
}

/// What the doctor finds of the witness.
fn diagnosis(home: &Witnessed) -> Value {
    let doctor = home.station.run(&["doctor"]);
    let checks = doctor.all("check").into_iter();
    let mut of_witness = checks.filter(|check| check["check"] == "witness-1");
    of_witness.next().unwrap().clone()
}

/// The doctor's last word.
fn verdict(home: &Witnessed) -> String {
    let doctor = home.station.run(&["doctor"]);
    let notices = doctor.all("notice");
    notices.last().unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A witness is out of reach, and the line may go on for a while: the doctor knows for how long.
fn assert_still_ready(home: &Witnessed) {
    let check = diagnosis(home);
    assert_eq!(check["state"], "warn", "{check}");
    let found = check["found"].as_str().unwrap();
    assert!(found.contains("can't be reached"), "{found}");
    assert!(found.contains("the line may go on without: "), "{found}");
    let size = StoredLog::read(&home.station.home(), &home.key).size();
    let left = AHEAD_LEAVES_MAX
        - (size
            - Checkpoint::verify(&cosigned_note(home), &home.key)
                .unwrap()
                .size);
    assert!(
        found.contains(&format!(
            "{left} leaves may still be written until it stops"
        )),
        "{found}"
    );
    assert_eq!(
        verdict(home),
        format!(
            "The station is ready; {left} leaves may still be written until the line stops, because a witness that it needs is out of reach."
        )
    );
    assert_eq!(home.station.run(&["doctor"]).code, 0);
}

/// The latest checkpoint that the journal knows to be cosigned.
fn cosigned_note(home: &Witnessed) -> String {
    let known = home
        .station
        .run(&["audit", "checkpoint", "--witnessed"])
        .good();
    known.summary()["checkpoint"].as_str().unwrap().to_owned()
}

/// The line refuses to begin a run, and says what to do.
fn assert_ahead(ran: &Ran) {
    assert_eq!(ran.code, 5, "{:?} {}", ran.lines, ran.words);
    assert_eq!(ran.error_code(), "ahead-of-witnesses");
    let expected = format!("at most {AHEAD_LEAVES_MAX} leaves and 24 hours ahead");
    assert!(
        ran.error_message().contains(&expected),
        "{}",
        ran.error_message()
    );
    let next = ran.all("error")[0]["error"]["next"].as_str().unwrap();
    assert!(next.contains(" doctor`"), "{next}");
}

#[test]
fn the_line_goes_on_to_the_bound_and_stops_there_until_the_witness_is_back() {
    let mut home = Witnessed::new(station_over(&["sim", "sim"], 1_000), AHEAD_LEAVES_MAX);
    let mut told = Told::of(home.key.clone());
    told.hear(&provision(&home, "2").good().lines);
    let cosigned = cosigned_size(&home);
    assert_eq!(diagnosis(&home)["state"], "ok");
    home.stop_witness();
    assert_still_ready(&home);

    let stopped = provision(&home, "500");
    assert_ahead(&stopped);
    let units = ended(&stopped.lines);
    assert!(
        !units.is_empty(),
        "it went on at first: {:?}",
        stopped.lines
    );
    assert!(
        units.iter().all(|unit| unit["state"] == "passed"),
        "what was in hand was finished: {units:?}"
    );
    assert_eq!(stopped.summary()["passed"], units.len());
    told.hear(&stopped.lines);
    let log = StoredLog::read(&home.station.home(), &home.key);
    told.assert_kept(&log, "at the bound");
    let ahead = log.size() - cosigned;
    assert!(
        ahead > AHEAD_LEAVES_MAX && ahead <= AHEAD_LEAVES_MAX + SLOTS * RUN_LEAVES_MAX,
        "{ahead}"
    );

    // However often it is tried; what is no run is still done, and told.
    let again = provision(&home, "1");
    assert_ahead(&again);
    assert!(ended(&again.lines).is_empty(), "{:?}", again.lines);
    told.hear(&again.lines);
    told.hear(&home.station.add_product("other", &[]).good().lines);
    assert_eq!(diagnosis(&home)["state"], "fail");
    assert!(
        verdict(&home).starts_with("The station is not ready: "),
        "{}",
        verdict(&home)
    );
    let refused = home
        .station
        .run(&["audit", "checkpoint", "--witnessed"])
        .good();
    let note = refused.summary()["checkpoint"].as_str().unwrap();
    assert_eq!(
        Checkpoint::verify(note, &home.key).unwrap().size,
        cosigned,
        "nothing more counts as witnessed"
    );

    home.bring_witness_back();
    // More than fits under the bound: a witness that answers is asked often enough.
    let back = provision(&home, "60").good();
    assert_eq!(back.summary()["passed"], 60);
    told.hear(&back.lines);
    let log = StoredLog::read(&home.station.home(), &home.key);
    told.assert_kept(&log, "with the witness back");
    assert_eq!(cosigned_size(&home), log.size());
    assert_eq!(diagnosis(&home)["state"], "ok");
    assert_published(&home.station, &home.key, log.size());
    assert_deep(&home.station, "with the witness back");
}

/// Everything that is not under a cosigned checkpoint stays in the building.
#[test]
fn nothing_is_shipped_that_the_witness_has_not_seen() {
    let mut home = Witnessed::new(station_over(&["sim", "sim"], 1_000), AHEAD_LEAVES_MAX);
    provision(&home, "2").good();
    home.stop_witness();
    provision(&home, "2").good();
    let shipped = home.station.run(&["order", "ship", "WO-1"]);
    assert_eq!(shipped.code, 1, "{:?} {}", shipped.lines, shipped.words);
    home.bring_witness_back();
    home.station.run(&["order", "ship", "WO-1"]).good();
    assert_deep(&home.station, "shipped");
}

/// The cloud no longer trusts it: whoever got it could not use it.
#[test]
fn a_unit_whose_pin_was_revoked_stays_in_the_building() {
    let home = Witnessed::new(station_over(&["sim", "sim"], 1_000), AHEAD_LEAVES_MAX);
    let built = provision(&home, "2").good();
    let unit = ended(&built.lines)[0]["device_id"].as_str().unwrap();
    let reason = ["--reason", "stolen", "--permit", "revoke"];
    let rework = [&["unit", "rework", unit][..], &reason].concat();
    home.station.run(&rework).good();
    let shipped = home.station.run(&["order", "ship", "WO-1"]);
    assert_eq!(shipped.code, 1, "{:?} {}", shipped.lines, shipped.words);
    for view in shipped.all("shipment") {
        assert_eq!(view["ships"], view["device_id"] != unit, "{view}");
    }
    assert_deep(&home.station, "one of two was shipped");
}

/// How far a line may go on without its witnesses is counted from what they have seen: nobody has seen anything of this one.
#[test]
fn a_line_whose_log_no_witness_has_seen_begins_no_run() {
    let mut home = Witnessed::new(station_over(&["sim", "sim"], 1_000), AHEAD_LEAVES_MAX);
    home.stop_witness();
    assert_eq!(
        diagnosis(&home)["state"],
        "fail",
        "nobody has seen anything of it"
    );
    let refused = provision(&home, "1").refused(5, "ahead-of-witnesses");
    let message = refused.error_message();
    assert!(message.contains("there is none yet"), "{message}");
    assert!(ended(&refused.lines).is_empty(), "{:?}", refused.lines);
    home.bring_witness_back();
    provision(&home, "1").good();
    home.stop_witness();
    provision(&home, "1").good();
}
