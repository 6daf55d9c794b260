#!/bin/sh
# Puts what the SDKs are built and tested with where they look for it: the packages of sdk/typescript beside it, as its lock
# file says, and those of sdk/python in target/tools/python. Changes nothing of the system, and does nothing if they are there.
set -eu

root="$(cd "$(dirname "$0")/.." && pwd)"
tools="$root/target/tools"
mkdir -p "$tools"
# One at a time: tests that run at once may all want them.
exec 9>"$tools/sdk.lock"
flock 9

lock="$root/sdk/typescript/package-lock.json"
installed="$root/sdk/typescript/node_modules/.installed"
if ! cmp -s "$lock" "$installed"; then
    (cd "$root/sdk/typescript" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    cp "$lock" "$installed"
fi

list="$root/sdk/python/requirements-dev.txt"
installed="$tools/python/.installed"
if ! cmp -s "$list" "$installed"; then
    python3 -m venv --clear "$tools/python"
    "$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list"
    # The package itself, as its users have it, from where it is.
    "$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable "$root/sdk/python"
    cp "$list" "$installed"
fi
