#!/bin/sh
# The first process of a microVM: fetches its ticket, mounts the workspace, runs the task, unmounts. Goes into the image as
# /sbin/guest-init, beside the program as /usr/local/bin/artifacts; the kernel needs FUSE (CONFIG_FUSE_FS) and devtmpfs.
set -eu

export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run/home
METADATA=${METADATA:-http://169.254.169.254}
TICKET=/run/tonbo/artifacts/mount-ticket.json

[ -e /proc/self ] || mount -t proc proc /proc
[ -e /sys/kernel ] || mount -t sysfs sysfs /sys
[ -c /dev/fuse ] || mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir -p "$HOME"

# Whatever your launcher is, place the mount ticket file before it runs `artifacts mount`.
mkdir -p "$(dirname "$TICKET")"
chmod 0700 "$(dirname "$TICKET")"
session=$(curl -fsS --retry 20 --retry-connrefused -X PUT "$METADATA/latest/api/token" -H 'X-metadata-token-ttl-seconds: 60')
(umask 077 && curl -fsS "$METADATA/artifacts/mount-ticket" -H "X-metadata-token: $session" >"$TICKET")

artifacts mount --ticket-file "$TICKET" /mnt/work
code=0
"${TASK:-/mnt/work/run}" || code=$?
artifacts unmount /mnt/work || code=$?
sync
[ -n "${NO_REBOOT:-}" ] || reboot -f
exit "$code"
