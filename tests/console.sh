#!/bin/sh
# Puts what the tests of the console run on where they look for it: the packages of tests/console beside it, as its lock file
# says. The browser is the distribution's. Does nothing if they are there.
set -eu

here="$(cd "$(dirname "$0")/console" && pwd)"
tools="$here/../../target/tools"
mkdir -p "$tools"
# One at a time: tests that run at once may all want them.
exec 9>"$tools/console.lock"
flock 9

installed="$here/node_modules/.installed"
if ! cmp -s "$here/package-lock.json" "$installed"; then
    (cd "$here" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund --ignore-scripts)
    cp "$here/package-lock.json" "$installed"
fi
