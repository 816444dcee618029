//! Hands the linker the memory of the chip that the image is for.

use std::path::PathBuf;
use std::{env, fs, io};

const CHIPS: [&str; 3] = ["nrf51822", "nrf52832", "nrf52840"];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=link");
    println!("cargo:rerun-if-changed=build.rs");
    let chosen: Vec<&str> = CHIPS
        .into_iter()
        .filter(|chip| env::var_os(format!("CARGO_FEATURE_{}", chip.to_uppercase())).is_some())
        .collect();
    let [chip] = chosen[..] else {
        return Err(io::Error::other(format!(
            "expected exactly one of the features {CHIPS:?}, got {chosen:?}"
        )));
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut memory = fs::read_to_string(format!("link/{chip}.x"))?;
    memory += &fs::read_to_string("link/sections.x")?;
    fs::write(out.join("memory.x"), memory)?;
    println!("cargo:rustc-link-search={}", out.display());
    for argument in ["-Tlink.x", "--nmagic", "--build-id=none"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    Ok(())
}
