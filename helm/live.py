#!/usr/bin/env python3
"""Runs every expression of dashboard and rules against a real Prometheus that scrapes a running engine.

Usage: live.py FORESHOCK_BIN EXPRESSIONS.yaml RULES.yaml
The engine is the demo's: the same code as `run`, with traffic. An expression must be answered without an error; those
that are named in SILENT may be empty, all others must have a value. Alerts may be empty: nothing is wrong.
"""

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

# Metrics that a healthy demo never touches.
SILENT = (
    "foreshock_rejected_records",
    "foreshock_snapshot_failures",
    "foreshock_refused_values",
    "foreshock_measure_failures",
    "foreshock_measure_dropped_rows",
    "foreshock_sink_",
    "ALERTS",
)
PATIENCE_SECONDS = 240


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def ask(port, expression):
    query = urllib.parse.urlencode({"query": expression})
    try:
        return get(f"http://127.0.0.1:{port}/api/v1/query?{query}")["data"]["result"]
    except urllib.error.HTTPError as error:
        sys.exit(f"Prometheus refuses {expression!r}: {error.read().decode()}")


def main(binary, expressions, rules):
    groups = yaml.safe_load(pathlib.Path(expressions).read_text())["groups"]
    wanted = [rule["expr"] for group in groups for rule in group["rules"]]
    alerts = yaml.safe_load(pathlib.Path(rules).read_text())["groups"]
    alerts = {rule["expr"] for group in alerts for rule in group["rules"]}
    http, prometheus = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(pathlib.Path(rules).resolve())],
            "scrape_configs": [{"job_name": "foreshock", "static_configs": [{"targets": [f"127.0.0.1:{http}"]}]}],
        }
        path = pathlib.Path(folder, "prometheus.yaml")
        path.write_text(yaml.safe_dump(config))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        engine = subprocess.Popen([binary, "demo", "--keep", "--http", f"127.0.0.1:{http}"], **quiet)
        scraper = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{prometheus}"], **quiet)
        try:
            empty = wait_for_values(prometheus, wanted, alerts)
            health = get(f"http://127.0.0.1:{prometheus}/api/v1/rules")["data"]["groups"]
            ill = [rule["name"] for group in health for rule in group["rules"] if rule["health"] != "ok"]
        finally:
            for process in (engine, scraper):
                process.terminate()
                process.wait()
    if empty or ill:
        sys.exit(f"no value for {empty}; rules that do not evaluate: {ill}")
    print(f"{len(wanted)} expressions answered by a real Prometheus, {len(alerts)} rules evaluate")


def wait_for_values(port, wanted, alerts):
    """The expressions that have no value after the time is up."""
    began = time.monotonic()
    empty = wanted
    while empty and time.monotonic() - began < PATIENCE_SECONDS:
        time.sleep(1)
        try:
            answered = {expression: ask(port, expression) for expression in wanted}
        except urllib.error.URLError:
            continue
        allowed = lambda expression: expression in alerts or any(name in expression for name in SILENT)
        empty = [expression for expression, values in answered.items() if not values and not allowed(expression)]
    return empty


if __name__ == "__main__":
    main(*sys.argv[1:])
