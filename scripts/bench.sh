#!/usr/bin/env bash
# Every figure, each beside what it is compared with in the same run. Arguments choose parts of the line's bench.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --quiet --package keyline-station --bench line -- "$@"
