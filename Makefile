# Keyline. `make demo` shows the main job, `make test` checks everything; both install what they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Tools that are compiled once where the machine lacks them.
CARGO_NEXTEST_VERSION := 0.9.143
CARGO_DENY_VERSION := 0.20.2

DEMO_ARGUMENTS ?=

.PHONY: help demo test bench soak firmware firmware-check fuzz lint tools-demo tools-test

help: ## What can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: tools-demo ## Bare emulated chips become devices with a proven, recorded identity.
	@cargo build --quiet --package keyline-station --bin keyline
	target/debug/keyline demo $(DEMO_ARGUMENTS)

test: tools-test lint ## Everything that is checked, on real servers and emulated units.
	cargo nextest run --workspace
	cargo test --doc --workspace --quiet
	device-agent/firmware/build.sh check
	cd device-agent/firmware
	cargo nextest run --package keyline-firmware-bench --package keyline-firmware-builder

lint: tools-test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	cargo deny --log-level error check bans licenses sources
	cd device-agent/firmware
	cargo fmt --all --check
	cargo clippy --package keyline-firmware-bench --package keyline-firmware-builder --all-targets -- -D warnings

bench: tools-test ## Figures, as ratios in one run; nothing is asserted on time.
	scripts/bench.sh

soak: tools-test ## The long versions of the seeded tests.
	KEYLINE_SEEDS=10000 cargo nextest run --package keyline-station --test killed_station
	KEYLINE_SEEDS=300 cargo nextest run --package keyline-station --test tiles station_killed
	KEYLINE_SEEDS=1000 cargo nextest run --package keyline-station --test log_faults
	KEYLINE_KEYS=1000000 KEYLINE_RSA_KEYS=10000 cargo test --package keyline-station --test key_quality
	KEYLINE_FLEET_BYTES=1073741824 cargo nextest run --package keyline-station --test fleet huge
	KEYLINE_HELD_UNITS=10000 cargo nextest run --package keyline-station --test outbox cuts_at_random

firmware: tools-test ## Builds the agent images reproducibly into device-agent/firmware/images.
	device-agent/firmware/build.sh build

firmware-check: tools-test ## Rebuilds the agent images and compares every byte.
	device-agent/firmware/build.sh check

fuzz: ## Runs every fuzz target for a minute; needs a nightly compiler and cargo-fuzz.
	cd device-agent/protocol
	for target in $$(cargo +nightly fuzz list); do cargo +nightly fuzz run "$$target" -- -max_total_time=60; done

tools-demo:
	@scripts/install-tools.sh demo

tools-test:
	@scripts/install-tools.sh test
	scripts/python-packages.sh
	scripts/install-cargo-tool.sh cargo-nextest $(CARGO_NEXTEST_VERSION)
	scripts/install-cargo-tool.sh cargo-deny $(CARGO_DENY_VERSION)
