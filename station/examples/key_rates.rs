//! Key generation, each library beside the other and beside OpenSSL's command line: keys a second on one thread.
//!
//! `cargo run --release -p keyline-station --example key_rates [SECONDS [ALGORITHM]]`; one JSON object a line.
#![allow(
    clippy::print_stdout,
    reason = "a program for a person or `make bench`"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use keyline_protocol::identity::Algorithm;
use keyline_station::key_pool::{KeyPool, Library, generate};
use keyline_station::secret::Arena;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let duration = Duration::from_secs(seconds);
    let arena = Arena::new(2_048, 1)?;
    let only = std::env::args().nth(2);
    for algorithm in Algorithm::ALL {
        if only.as_ref().is_some_and(|only| only != algorithm.name()) {
            continue;
        }
        for library in Library::ALL {
            let rate = rate(duration, || {
                generate(algorithm, library, &arena)?;
                Ok(())
            })?;
            report(algorithm, &format!("{library:?}"), rate);
        }
        report(algorithm, "openssl", rate(duration, || openssl(algorithm))?);
        let pool = KeyPool::new(std::thread::available_parallelism()?.get())?;
        pool.keep(algorithm, 64)?;
        report(
            algorithm,
            "pool",
            rate(duration, || {
                while pool.level(algorithm) == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                pool.take(algorithm)?;
                Ok(())
            })?,
        );
    }
    Ok(())
}

/// How often a second `work` can be done.
fn rate(
    duration: Duration,
    mut work: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < duration {
        work()?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn openssl(algorithm: Algorithm) -> Result<(), Box<dyn std::error::Error>> {
    let arguments = match algorithm {
        Algorithm::P256 => ["EC", "ec_paramgen_curve:P-256"],
        Algorithm::Rsa2048 => ["RSA", "rsa_keygen_bits:2048"],
        Algorithm::Rsa3072 => ["RSA", "rsa_keygen_bits:3072"],
    };
    let status = Command::new("openssl")
        .args([
            "genpkey",
            "-quiet",
            "-algorithm",
            arguments[0],
            "-pkeyopt",
            arguments[1],
            "-out",
            "/dev/null",
        ])
        .status()
        .or_else(|_| Command::new("openssl").arg("version").status())?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| "openssl failed".into())
}

fn report(algorithm: Algorithm, maker: &str, rate: f64) {
    println!(
        "{}",
        serde_json::json!({ "figure": "keys_per_second", "algorithm": algorithm.name(), "maker": maker, "value": rate })
    );
}
