#!/bin/sh
# Installs the programs that the tests run, from the distribution, if any is missing. Needs root for that; without
# it, says what to install.
set -eu

missing=""
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need cc gcc
need chromium chromium
need diff diffutils
need fio fio
need fusermount3 fuse3
need getfacl acl
need git git
need ip iproute2
need node nodejs
need npm npm
need nsenter util-linux
need python3 python3
need setfattr attr
need setpriv util-linux
need sqlite3 sqlite3
need stress-ng stress-ng
need tar tar
need unshare util-linux
python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
# pjdfstest is built against it.
[ -e /usr/include/sys/acl.h ] || missing="$missing libacl1-dev"

if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing; see https://rustup.rs" >&2
    exit 1
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "please install:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing
