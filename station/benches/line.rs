//! What a unit costs. Each figure stands beside what it is to be compared with, measured in the same run; nothing is asserted.
//!
//! `cargo bench --package keyline-station --bench line`, or `make bench`. Arguments choose parts: `throughput`, `slots`, `wire`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a program that prints figures"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{Bench, Told, product};
use keyline_protocol::identity::{DeviceId, LockPolicy, Platform};
use keyline_station::line::{Presented, Slot, UnitSource, provision};
use keyline_station::link::{AgentImage, ProbeTarget, SimTarget};
use keyline_station::record::Product;
use keyline_station::stop::Stop;
use keyline_virtual_unit::qemu;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 3] = [("throughput", throughput), ("slots", slots), ("wire", wire)];
    for (name, part) in parts {
        if chosen.is_empty() || chosen.iter().any(|wanted| wanted == name) {
            println!("\n== {name}");
            part();
        }
    }
}

/// Units from a counter, each made when it is asked for.
struct Fresh {
    left: Arc<AtomicU32>,
    paced: bool,
}

impl UnitSource for Fresh {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        let number = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .ok()?;
        let mut options = SimOptions::seeded(Platform::Nrf51822, (number, 1), u64::from(number));
        options.paced = self.paced;
        Some(Presented {
            target: Box::new(SimTarget::new(SimUnit::new(options))),
            serial: None,
        })
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

fn run(units: u32, slots: u16, paced: bool) -> Duration {
    let mut bench = Bench::for_product(product());
    bench.another_order(|order| order.quantity = units);
    let line = bench.line(Arc::new(Told::default()), Stop::new());
    let left = Arc::new(AtomicU32::new(units));
    let slots = (1..=slots).map(|number| Slot {
        number,
        source: Box::new(Fresh {
            left: Arc::clone(&left),
            paced,
        }),
    });
    let slots = slots.collect();
    let begun = Instant::now();
    let (summary, result) = provision(&line, slots, units, None);
    let elapsed = begun.elapsed();
    assert!(
        result.is_ok() && summary.passed == u64::from(units),
        "{summary:?} {result:?}"
    );
    elapsed
}

fn throughput() {
    run(64, 64, false);
    let units = 4000;
    let line = f64::from(units) / run(units, 64, false).as_secs_f64();
    let arithmetic = arithmetic_alone(Duration::from_secs(3));
    println!("units/s in sim, everything durable, 64 slots:         {line:.0}   (aim 1300)");
    println!(
        "units/s by the arithmetic of unit and station alone:  {arithmetic:.0}   on both cores"
    );
    println!("ratio: {:.2}", line / arithmetic);
}

/// How many units a second the two cores could do if a unit were nothing but its key, two signatures and four verifications.
fn arithmetic_alone(duration: Duration) -> f64 {
    use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
    use p256::elliptic_curve::Generate as _;
    let one_core = || {
        let begun = Instant::now();
        let mut units = 0_u32;
        while begun.elapsed() < duration {
            let key = p256::ecdsa::SigningKey::generate();
            let public = *key.verifying_key();
            for digest in [[1; 32], [2; 32]] {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
                public.verify_prehash(&digest, &signature).unwrap();
                public.verify_prehash(&digest, &signature).unwrap();
            }
            units += 1;
        }
        f64::from(units) / begun.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let cores: Vec<_> = (0..2).map(|_| scope.spawn(one_core)).collect();
        cores.into_iter().map(|core| core.join().unwrap()).sum()
    })
}

fn slots() {
    // Each unit takes as long as a real chip's arithmetic and flash would: the slots must not wait for each other.
    let one = run(2, 1, true);
    let sixteen = run(32, 16, true);
    println!("1 slot, 2 units:    {:.2} s", one.as_secs_f64());
    println!("16 slots, 32 units: {:.2} s", sixteen.as_secs_f64());
    println!(
        "16 slots are worth {:.2} of one   (aim 15.5)",
        16.0 * one.as_secs_f64() / sixteen.as_secs_f64()
    );
}

fn wire() {
    let image = AgentImage::for_platform(Platform::Nrf51822).unwrap();
    let image_words = image.bytes.len().div_ceil(4);
    let bench = Bench::with_image(
        Product {
            lock_policy: LockPolicy::Sealed,
            ..product()
        },
        image,
    );
    for (number, agent) in [(1_u8, "bare chip"), (2, "agent already there")] {
        let mut options = qemu::UnitOptions::new([number; 8]);
        if agent != "bare chip" {
            options.flash.clone_from(&bench.image.bytes);
        }
        let unit = qemu::Unit::start(options).unwrap();
        let begun = Instant::now();
        let event = bench.run_target(Box::new(ProbeTarget::new(unit.selector())), None);
        let elapsed = begun.elapsed();
        assert!(event.error.is_none(), "{:?}", event.error);
        let counters = unit.counters().unwrap();
        println!(
            "{agent}: {:.2} s, image of {image_words} words",
            elapsed.as_secs_f64()
        );
        println!("  {}", serde_json::to_string(&counters).unwrap());
    }
}
