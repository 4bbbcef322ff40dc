#!/bin/sh
# Installs what building and testing need, and only what is missing.
#
# usage: setup.sh packages NAME...      Debian packages
#        setup.sh rust nextest          rustfmt and clippy; cargo-nextest
set -eu

packages() {
    missing=
    for name in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true) in
        installed) ;;
        *) missing="$missing $name" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "these packages are missing, install them as root: apt-get install$missing" >&2
        exit 1
    fi
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # One word a package.
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
}

rust() {
    for component in rustfmt clippy; do
        case $component in rustfmt) program=fmt ;; *) program=$component ;; esac
        cargo "$program" --version >/dev/null 2>&1 || rustup component add "$component"
    done
}

# Without it the tests run under `cargo test`: slower to end when one hangs, not less.
nextest() {
    cargo nextest --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-nextest ||
        echo 'cargo-nextest could not be installed: cargo test will run the tests' >&2
}

if [ "$1" = packages ]; then
    shift
    packages "$@"
    exit
fi
for part in "$@"; do
    "$part"
done
