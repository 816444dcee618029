#!/usr/bin/env bash
# Installs the system packages that a target needs, where apt and the right to use it are there; else says what to install.
#
#   scripts/install-tools.sh demo|test
#
# The demo goes on without QEMU (on simulated units, and it says so); the tests need everything.
set -euo pipefail

purpose=${1:?"expected: demo or test"}

# command:package, for what a command shows to be there.
needed=(cc:gcc pkg-config:pkg-config qemu-system-arm:qemu-system-arm openssl:openssl)
# file:package, for what only a file shows.
files=(/usr/share/pkgconfig/libudev.pc:libudev-dev)
if [ "$purpose" = test ]; then
    needed+=(gdb:gdb strace:strace go:golang-go python3:python3 softhsm2-util:softhsm2 pkcs11-tool:opensc)
fi

missing=()
for entry in "${needed[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
done
for entry in "${files[@]}"; do
    package=${entry#*:}
    pkg-config --exists "${package%-dev}" 2>/dev/null || missing+=("$package")
done
if [ "$purpose" = test ]; then
    [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ] || missing+=(golang-golang-x-mod-dev)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
if [ "$purpose" = test ]; then
    command -v pg_autoctl >/dev/null || missing+=(pg-auto-failover-cli)
    if ! compgen -G '/usr/lib/postgresql/*/lib/pgautofailover.so' >/dev/null; then
        # Named after the version of the server that it extends.
        extension=$(apt-cache search --names-only '^postgresql-[0-9]+-auto-failover$' 2>/dev/null | cut -d' ' -f1 | sort -V | tail -1)
        missing+=("${extension:-postgresql-15-auto-failover}")
    fi
fi
if [ "$purpose" = test ] && [ ! -d /usr/src/rustc-1.96.0 ]; then
    # The pinned compiler of the firmware. Another Debian may not carry it: then the images are not compared, and the check says so.
    if apt-cache show rustc-web 2>/dev/null | grep -q '^Version: 1\.96'; then
        missing+=(rustc-web rust-web-src)
    fi
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        as_root=()
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        as_root=(false)
    fi
    if [ "${as_root[0]-}" != false ]; then
        echo "installing: ${missing[*]}" >&2
        "${as_root[@]}" apt-get update -qq >&2 || true
        if DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
            exit 0
        fi
    fi
fi
echo "These packages are missing and could not be installed from here: ${missing[*]}" >&2
echo "Install them (on Debian or Ubuntu: sudo apt-get install ${missing[*]}), then run make again." >&2
if [ "$purpose" = demo ] && command -v cc >/dev/null && pkg-config --exists libudev; then
    exit 0
fi
exit 1
