#!/bin/sh
# Starts a task in a microVM of Firecracker with a workspace mounted at /mnt/work. The ticket goes in through the metadata service, which
# the host fills before the guest boots and which only this guest reaches; nothing of the account's is in the image.
#
#   launch.sh TICKET_FILE KERNEL ROOTFS SOCKET
#
# The guest runs guest-init.sh, its tap device is tap0 unless TAP says otherwise, and it must reach a node.
set -eu

[ $# -eq 4 ] || {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}
ticket=$1 kernel=$2 rootfs=$3 socket=$4
tap=${TAP:-tap0}

api() { # METHOD PATH BODY
    curl -fsS --unix-socket "$socket" -X "$1" "http://localhost$2" -H 'content-type: application/json' -d "$3" >/dev/null
}

firecracker --api-sock "$socket" &
machine=$!
# The launcher ends with the machine, and the machine with the launcher.
trap 'kill "$machine" 2>/dev/null || true' EXIT
until [ -S "$socket" ]; do
    kill -0 "$machine" || exit 1
    sleep 0.05
done

api PUT /machine-config "{\"vcpu_count\": ${VCPUS:-1}, \"mem_size_mib\": ${MEMORY_MIB:-256}}"
api PUT /boot-source "{\"kernel_image_path\": \"$kernel\", \"boot_args\": \"console=ttyS0 reboot=k panic=1 init=/sbin/guest-init\"}"
api PUT /drives/rootfs "{\"drive_id\": \"rootfs\", \"path_on_host\": \"$rootfs\", \"is_root_device\": true, \"is_read_only\": true}"
api PUT /network-interfaces/eth0 "{\"iface_id\": \"eth0\", \"host_dev_name\": \"$tap\"}"
api PUT /mmds/config '{"version": "V2", "network_interfaces": ["eth0"], "ipv4_address": "169.254.169.254"}'
api PUT /mmds "{\"artifacts\": {\"mount-ticket\": $(jq -c tojson "$ticket")}}"
api PUT /actions '{"action_type": "InstanceStart"}'
wait "$machine"
