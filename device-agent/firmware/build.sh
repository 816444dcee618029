#!/bin/sh
# Builds the agent's images, or checks that they can be reproduced: build.sh build|check|reproduce (see builder/src/main.rs).
set -eu
cd "$(dirname "$0")"
exec cargo run --quiet --locked --package keyline-firmware-builder -- "${1:-build}"
