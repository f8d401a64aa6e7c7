#!/usr/bin/env bash
# Draws the pictures of gallery.md anew, from made-up series: docs/gallery.sh [foreshock]
set -euo pipefail
cd "$(dirname "$0")/.."
foreshock=$(realpath "${1:-target/release/foreshock}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in level-shift trend-break stop slow-leak quiet-spike holiday noisy checkout; do
  fixtures/series/series.py "$name" > "$work/$name.csv" 2> "$work/about"
  (cd "$work" && "$foreshock" replay "$name.csv" --plot "$name.svg" 2> told)
  mv "$work/$name.svg" "docs/gallery/$name.svg"
  cat "$work/told"
done
