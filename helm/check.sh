#!/usr/bin/env bash
# Checks the chart, the alert rules and the dashboard. Needs bash, python3 and the network once; what is missing
# (helm, promtool, kubernetes-validate) is installed, the first and the last into a cache folder.
# With FORESHOCK_BIN, the absolute path of the engine's binary, the rendered configuration is held against its schema,
# and every expression is run on a real Prometheus that scrapes it.
set -euo pipefail
cd "$(dirname "$0")"
chart=foreshock
cache="${FORESHOCK_HELM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/foreshock-helm}"
work="$(mktemp -d)"
doing="starting"
finish() {
  local code=$?
  rm -rf "$work"
  [ "$code" = 0 ] || echo "chart: FAILED while $doing" >&2
}
trap finish EXIT
step() { doing="$1"; printf -- '-- %s\n' "$1"; }

step "finding the tools"
mkdir -p "$cache/bin"
export PATH="$PATH:$cache/bin"
if ! command -v helm >/dev/null; then
  command -v go >/dev/null || { echo "neither helm nor go is here: install one of them" >&2; exit 2; }
  GOBIN="$cache/bin" go install helm.sh/helm/v4/cmd/helm@v4.3.1
fi
if ! command -v promtool >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null \
    || { echo "no promtool: install Prometheus (Debian: apt-get install prometheus)" >&2; exit 2; }
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends prometheus >/dev/null
fi
python="$cache/venv/bin/python"
if ! "$python" -c 'import kubernetes_validate, yaml, jsonschema' 2>/dev/null; then
  rm -rf "$cache/venv"
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet 'kubernetes-validate==1.37.0' pyyaml jsonschema
fi

step "linting and rendering"
for values in "$chart"/tests/values/*.yaml; do
  name="$(basename "$values" .yaml)"
  helm lint --strict --quiet "$chart" --values "$values"
  helm template sample "$chart" --namespace watch --values "$values" > "$work/$name.rendered.yaml"
done

step "refusing wrong values"
for values in "$chart"/tests/refused/*.yaml; do
  expected="$(sed -n 's/^# expect: //p' "$values")"
  [ -n "$expected" ] || { echo "$values does not say what it expects" >&2; exit 1; }
  if helm template sample "$chart" --values "$values" > /dev/null 2> "$work/refusal"; then
    echo "$values was accepted" >&2
    exit 1
  fi
  grep -qF -- "$expected" "$work/refusal" || { echo "$values: refused for another reason:" >&2; cat "$work/refusal" >&2; exit 1; }
done

step "holding the objects against the Kubernetes schemas"
"$python" checks.py objects "$chart" "$work"/*.rendered.yaml

if [ -n "${FORESHOCK_BIN:-}" ]; then
  step "holding the configurations against the engine's and the controllers' schema"
  "$FORESHOCK_BIN" schema > "$work/schema.json"
  "$FORESHOCK_BIN" schema --controller > "$work/controller.json"
  "$python" checks.py config "$work/schema.json" "$work/controller.json" "$work"/*.rendered.yaml
fi

step "testing the alert rules"
promtool check rules "$chart/rules/foreshock.rules.yaml" > "$work/out" || { cat "$work/out" >&2; exit 1; }
promtool test rules "$chart/tests/rules.test.yaml" > "$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
"$python" checks.py alerts "$chart"

step "reading every expression of dashboard and rules"
"$python" checks.py expressions "$chart" ../engine/src/run/metrics.rs > "$work/expressions.yaml"
promtool check rules "$work/expressions.yaml" > "$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }

if [ -n "${FORESHOCK_BIN:-}" ]; then
  step "asking a real Prometheus that scrapes a running engine"
  "$python" live.py "$FORESHOCK_BIN" "$work/expressions.yaml" "$chart/rules/foreshock.rules.yaml"
fi

echo "chart: all checks passed ($(ls "$chart"/tests/values | wc -l) sets of values, $(grep -c 'alert:' "$chart/rules/foreshock.rules.yaml") alerts, $(grep -c 'expr:' "$work/expressions.yaml") expressions)"
