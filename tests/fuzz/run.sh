#!/bin/sh
# Runs a fuzz target from its seeds, with its dictionary: run.sh TARGET [SECONDS]
# What it finds new stays in tests/fuzz/corpus, which is nobody's to check in.
set -eu
cd "$(dirname "$0")"
target=$1 seconds=${2:-600}
corpus=corpus/$target dictionary=dictionaries/$target.dict
mkdir -p "$corpus" "seeds/$target"
if [ "$target" = config ]; then
    # The example file as it is delivered, and with every key switched on. Its keys are
    # the dictionary.
    cp ../../packaging/tacplus.conf "$corpus/example"
    sed 's/^;\([a-z]\)/\1/' ../../packaging/tacplus.conf >"$corpus/example-on"
    dictionary=corpus/config.dict
    sed -n 's/^;*\([a-z_.0-9]*\) = .*/"\1 = "/p; s/^;*\(\[[a-z]*\).*/"\1"/p' \
        ../../packaging/tacplus.conf | sort -u >"$dictionary"
fi
set -- -max_total_time="$seconds" -max_len=65536 -len_control=0 -timeout=20
[ -f "$dictionary" ] && set -- "$@" -dict="$dictionary"
RUSTC_BOOTSTRAP=1 exec cargo fuzz run --fuzz-dir . "$target" "$corpus" "seeds/$target" -- "$@"
