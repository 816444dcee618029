#!/usr/bin/env bash
# Installs a cargo subcommand where it is missing: scripts/install-cargo-tool.sh NAME VERSION
set -euo pipefail
name=${1:?"expected a crate's name"}
version=${2:?"expected a version"}
if ! cargo "${name#cargo-}" --version >/dev/null 2>&1; then
    echo "installing $name $version (once; it is compiled from source and takes some minutes)" >&2
    cargo install --quiet --locked "$name" --version "$version"
fi
