#!/bin/sh
# Makes a package of a program that is built: a tarball with it, man pages, systemd units and install.sh.
#
#   package.sh PROGRAM NAME OUT_DIR [MANUAL_PROGRAM]
#
# NAME is what the tarball is called: artifacts or artifacts-sandbox. The program for sandboxes has no manual in it, so another one of the
# same version writes the pages.
set -eu

[ $# -ge 3 ] || {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}
program=$1 name=$2 out=$3 manual=${4:-$1}
here="$(cd "$(dirname "$0")" && pwd)"
version="$("$program" --version | cut -d ' ' -f 2)"
full="$name-$version-$(uname -m)-linux"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/$full"
install -m 0755 "$program" "$work/$full/artifacts"
install -m 0755 "$here/install.sh" "$work/$full/install.sh"
install -m 0644 "$here/../LICENSE" "$work/$full/LICENSE"
cp -R "$here/systemd" "$work/$full/systemd"
"$manual" manual man "$work/$full/man" >/dev/null
tar -C "$work" --owner=0 --group=0 --numeric-owner --sort=name -czf "$out/$full.tar.gz" "$full"
echo "$out/$full.tar.gz"
