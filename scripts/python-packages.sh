#!/usr/bin/env bash
# Makes the Python environment of the tests, once: readers and verifiers that nobody here wrote.
#
#   scripts/python-packages.sh
#
# It lies in target/python and is made anew when the list of packages or the system's Python has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=station/tests/requirements.txt
environment=target/python
made_from=$environment/made-from

wanted() {
    python3 --version
    cat "$packages"
}

if "$environment/bin/python" -c '' 2>/dev/null && wanted | cmp --quiet - "$made_from"; then
    exit 0
fi

explain() {
    echo "The Python packages of the tests could not be installed into $environment." >&2
    echo "Needed are Python 3.11 or newer with venv (Debian: apt-get install python3-venv) and PyPI within reach." >&2
    exit 1
}

echo "installing the Python packages of the tests" >&2
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || explain
python3 -m venv --clear "$environment" >&2 || explain
"$environment/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement "$packages" >&2 || explain
wanted > "$made_from"
