#!/usr/bin/env bash
# Draws the pictures of gallery.md anew, from made-up series and, where FORESHOCK_DATA is the folder of labelled data, from real
# ones: docs/gallery.sh [foreshock]
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
data=${FORESHOCK_DATA:-../shared/data}/nab/data
[ -d "$data" ] || { echo "no labelled data: the real series are left as they are"; exit 0; }
data=$(realpath "$data")
for name in realKnownCause/nyc_taxi realKnownCause/machine_temperature_system_failure \
  realKnownCause/ec2_request_latency_system_failure realAWSCloudwatch/rds_cpu_utilization_cc0c53 \
  realTraffic/occupancy_t4013; do
  file=$(basename "$name")
  (cd "$work" && "$foreshock" replay "$data/$name.csv" --plot "$file.svg" 2> told)
  mv "$work/$file.svg" "docs/gallery/$file.svg"
  sed "s|$data/||" "$work/told"
done
