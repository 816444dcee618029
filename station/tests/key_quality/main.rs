//! Keys in great numbers: none comes twice, and no two moduli share a factor.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod batch_gcd;
mod moduli;
mod public_keys;

/// A number from the environment, which `make soak` sets higher.
fn number_from(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
