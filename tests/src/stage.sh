#!/bin/sh
# First process of fresh mount, network, pid and host name namespaces: lays an
# overlay in memory over the whole root, so that nothing written here reaches
# the host, and becomes the holder. Must never touch a path of the host.
#
# usage: stage.sh BASE WORKSPACE BUILT MODULES OWN    (BASE: an empty folder of the host)
set -eu
base=$1 workspace=$2 built=$3 modules=$4 own=$5
root=$base/root

# The host's /proc is still mounted, so this is our process id on the host.
read -r pid _ </proc/self/stat

mount -t tmpfs -o mode=0755 stage "$base"
mkdir "$base/upper" "$base/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" stage "$root"

mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=0755 home "$root/home"
mount -t tmpfs -o mode=0755 log "$root/var/log"
mount -t tmpfs -o mode=0755 dev "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

mkdir -p "$root$workspace" "$root/run/e2e/built" "$root/run/e2e/modules" \
    "$root/run/e2e/own" "$root/run/e2e/written"
mount --rbind "$workspace" "$root$workspace"
mount --bind "$built" "$root/run/e2e/built"
mount --bind "$modules" "$root/run/e2e/modules"
mount --bind "$own" "$root/run/e2e/own"
mount --bind "$base/upper" "$root/run/e2e/written"

# Places of the operating system, and those the packages would have made.
mkdir -p "$root/run/sshd" "$root/run/lock" "$root/run/tacplus" \
    "$root/var/spool/tacplus" "$root/var/lib/tacplus" "$root/etc/tacplus"
rm -f "$root/etc/tacplus.conf" "$root/etc/tacplus_servers" "$root/etc/nologin"
: >"$root/var/log/btmp"
: >"$root/var/log/wtmp"
: >"$root/var/log/lastlog"
printf '127.0.0.1 localhost stage\n::1 localhost\n' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf"

hostname stage
ip link set lo up

cd "$root"
mkdir run/host
pivot_root . run/host
cd /
umount -l /run/host
rmdir /run/host

# Orphans of the stage are ours: the kernel reaps them while this is ignored.
trap '' CHLD
exec /run/e2e/own/holder "$pid"
