#!/usr/bin/env bash
# Stands before rustc for the crates of this workspace: what libFuzzer needs to see which way an input went.
case " $* " in
  *" build_script_build "*) exec "$@" ;;
esac
exec "$@" -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
