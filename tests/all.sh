#!/bin/sh
# Everything that is checked, in the order in which it fails fastest. The last
# line counts the tests; the exit code is not 0 if anything failed.
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

step() {
    echo "== $*"
    "$@" || exit 1
}

# Runs the tests, keeps what they said; a failure is counted, not the end.
run() {
    echo "== $*"
    { "$@" 2>&1 || echo 'e2e: a test command failed'; } | tee -a "$log" || exit 1
}

step cargo fmt --all --check
step cargo clippy --workspace --all-targets --locked -- -D warnings
step make --no-print-directory build

if cargo nextest --version >/dev/null 2>&1; then
    run cargo nextest run --workspace --locked
else
    run timeout -k 10 1800 cargo test --workspace --locked --no-fail-fast --lib --bins --tests
fi
run timeout -k 10 600 cargo test --workspace --locked --no-fail-fast --doc

# nextest: "Summary [ 3.4s] 12 tests run: 11 passed (1 slow), 1 failed, 0 skipped"
# libtest: "test result: ok. 4 passed; 0 failed; 0 ignored; ..."
exec awk '
    { gsub(/\033\[[0-9;]*m/, "") }
    /^ *Summary \[/ || /^test result:/ {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) passed += $(i - 1)
            if ($i ~ /^failed/ || $i ~ /^timed/ || $i ~ /^exec/) failed += $(i - 1)
        }
    }
    /^e2e: a test command failed/ { broken = 1 }
    END {
        if (broken && !failed) print "a test command failed before its tests ran"
        printf "%d passed, %d failed\n", passed, failed
        exit (broken || failed || !passed)
    }
' "$log"
