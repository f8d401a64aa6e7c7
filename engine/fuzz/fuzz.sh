#!/usr/bin/env bash
# Lets libFuzzer look at what the engine parses, guided by what the engine's own code does with each input.
#
#     engine/fuzz/fuzz.sh all 60              each target for a minute
#     engine/fuzz/fuzz.sh records 3600        one target for an hour; more arguments go to libFuzzer
#
# What is found is kept under target/fuzz/TARGET; run again, it goes on from there. An input that breaks a target is written to
# target/fuzz/TARGET-crash-… Needs a C++ compiler. Runs on stable Rust: the crates of this workspace count edges and tell
# comparisons, their dependencies do not, so that they need not be built anew.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target="${CARGO_TARGET_DIR:-$PWD/target}"

export RUSTC_WORKSPACE_WRAPPER="$here/instrumented.sh"
cargo build --quiet --workspace --features foreshock-fuzz/libfuzzer --example fuzz
unset RUSTC_WORKSPACE_WRAPPER

run() {
  local name=$1 seconds=$2
  shift 2
  local found="$target/fuzz/$name"
  if [ ! -d "$found" ]; then
    mkdir -p "$found"
    export FUZZ_SEEDS="$found"
  fi
  echo "== $name, $seconds s"
  FUZZ_TARGET="$name" "$target/debug/examples/fuzz" "$found" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -detect_leaks=0 -artifact_prefix="$found-" -print_final_stats=1 -verbosity=0 "$@"
  unset FUZZ_SEEDS
}

if [ "$1" != all ]; then
  run "$@"
else
  for name in records configurations words tables cases journals audit_logs messages; do
    run "$name" "$2"
  done
fi
