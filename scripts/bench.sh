#!/usr/bin/env bash
# Every figure, each beside what it is compared with in the same run. Arguments choose parts of the line's bench.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --quiet --package keyline-station --bench line -- "$@"
if [ $# -eq 0 ]; then
    cargo bench --quiet --package keyline-station --bench stores
    echo
    echo "== the audit log (cargo bench --bench audit -- --leaves 10000000 for the large one)"
    cargo bench --quiet --package keyline-station --bench audit
    echo
    echo "== the registry (cargo bench --bench registry -- growth --rows 10000000 for the large one: 35 GB of disk for a while)"
    cargo bench --quiet --package keyline-station --bench registry
    echo
    echo "== keys a second, each library beside openssl"
    cargo run --quiet --release --package keyline-station --example key_rates
    echo
    echo "== what a unit costs its chip (modelled, nRF51822 at 16 MHz)"
    (cd device-agent/firmware && cargo run --quiet --release --package keyline-firmware-bench)
fi
