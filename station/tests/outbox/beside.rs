//! Beside a line the outbox is worked on by itself.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyline_station::outbox::{Background, Synchroniser};
use keyline_station::stop::Stop;
use serde_json::Value;

use crate::common::Told;
use crate::cut_proxy::CutProxy;
use crate::held::Held;
use crate::home::holding_home;
use crate::registry_server::{registry_server, url_at};

#[test]
fn it_needs_nobody_who_asks() {
    let mut held = Held::units(20);
    let order = held.bench.order.id;
    held.link_is_back();
    let told = Arc::new(Told::default());
    let bench = &held.bench;
    let synchroniser = Synchroniser::new(bench.journal.clone(), bench.registry.clone(), told);
    bench.runtime.block_on(async {
        let background = Background::start(synchroniser);
        let begun = Instant::now();
        while bench.journal.outbox().await.unwrap().runs > 0 {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "nothing was entered"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let report = background.end(&Stop::new()).await.unwrap();
        assert_eq!(report.settled.len(), 20);
    });
    held.assert_all_released(order, 20);
}

#[test]
fn at_the_end_of_the_line_it_is_tried_once_more() {
    let mut held = Held::units(20);
    let order = held.bench.order.id;
    held.link_is_back();
    let told = Arc::new(Told::default());
    let bench = &held.bench;
    let synchroniser = Synchroniser::new(bench.journal.clone(), bench.registry.clone(), told);
    let report = bench.runtime.block_on(async {
        let background = Background::start(synchroniser);
        background.end(&Stop::new()).await.unwrap()
    });
    assert_eq!(report.settled.len(), 20);
    held.assert_all_released(order, 20);
}

#[test]
fn a_line_whose_link_is_cut_for_a_while_ends_with_everything_passed() {
    const UNITS: u64 = 150;
    let server = registry_server();
    let proxy = CutProxy::to(server.address());
    let station = holding_home(&["--registry", &url_at(proxy.address())]);
    let count = UNITS.to_string();
    let mut command = station.command(&["provision", "--order", "WO-1", "--count", &count]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let (mut held, mut lines) = (0, Vec::new());
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "unit" && event["state"] == "passed" && proxy.cuts() == 0 {
            proxy.cut();
        }
        if event["event"] == "unit" && event["state"] == "held" {
            held += 1;
            if held == 3 {
                proxy.restore();
            }
        }
        lines.push(event);
    }
    let status = process.wait().unwrap();
    let summary = lines.last().unwrap();
    assert!(held >= 3, "{held} units were held");
    assert_eq!(status.code(), Some(0), "{summary}");
    assert_eq!(
        (&summary["units"], &summary["passed"], &summary["held"]),
        (&UNITS.into(), &UNITS.into(), &0.into()),
        "{summary}"
    );
    let late = lines.iter().filter(|event| event["late"] == true);
    assert_eq!(
        late.count(),
        held,
        "each is told twice: held, and what became of it"
    );
    station.run(&["audit", "verify", "--deep"]).good();
}
