//! Figures, printed and never judged: `cargo test --test qemu_units figures -- --ignored --nocapture`.

use std::time::Instant;

use probe_rs::MemoryInterface;

use crate::flash::{pattern, program};
use crate::programs::{COUNTER, counter};
use crate::support::{attach, empty, running, word};

#[test]
#[ignore = "prints figures"]
fn figures() {
    let begun = Instant::now();
    let unit = empty(1);
    println!("start of a unit          {:?}", begun.elapsed());
    let begun = Instant::now();
    drop(attach(&unit));
    println!("attach and detach        {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut session = attach(&unit);
    println!("attach                   {:?}", begun.elapsed());
    unit.reset_counters().unwrap();
    let begun = Instant::now();
    program(&mut session, 0, &pattern(60 * 1024));
    println!("program and verify 60 KiB {:?}", begun.elapsed());
    println!("{:?}", unit.counters().unwrap());
    let process = unit.emulator_process().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    for line in status
        .lines()
        .filter(|line| line.starts_with("Rss") || line.starts_with("VmRSS"))
    {
        println!("{line}");
    }
    let unit = running(counter());
    let mut session = attach(&unit);
    let mut core = session.core(0).unwrap();
    let begun = Instant::now();
    for _ in 0..1000 {
        word(&mut core, COUNTER);
    }
    println!("a word of a running core {:?}", begun.elapsed() / 1000);
    let mut block = [0; 256];
    let begun = Instant::now();
    for _ in 0..100 {
        core.read_32(0x2000_0400, &mut block).unwrap();
    }
    println!("a KiB of a running core  {:?}", begun.elapsed() / 100);
}
