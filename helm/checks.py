"""The parts of check.sh that read YAML and JSON. Each command prints nothing on success but what it was asked for.

objects CHART FILE...       rendered objects against the Kubernetes schemas
config SCHEMA CONTROLLER FILE...  the configurations within them against the engine's and the controllers' schema
alerts CHART                every alert is tested firing and silent
expressions CHART METRICS   uses only names that the engine registers; prints all expressions as a rules file
"""

import json
import re
import sys

import jsonschema
import kubernetes_validate
import yaml

# The oldest Kubernetes that Chart.yaml allows, and the newest that the validator knows.
VERSIONS = ["1.27", kubernetes_validate.latest_version()]
# Their schemas are not part of Kubernetes.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}
WORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring"}
# What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "5m", "$job": "foreshock", "$instance": ".+"}


def documents(path):
    with open(path) as file:
        return [document for document in yaml.safe_load_all(file) if document]


def fail(problems):
    sys.exit("\n".join(problems) if problems else 0)


def objects(chart, *paths):
    problems = []
    kinds = set()
    dashboard = json.load(open(f"{chart}/dashboards/foreshock.json"))
    rules = documents(f"{chart}/rules/foreshock.rules.yaml")[0]
    for path in paths:
        for item in documents(path):
            kinds.add(item["kind"])
            where = f"{path}: {item['kind']} {item['metadata']['name']}"
            if item["kind"] == "PrometheusRule" and item["spec"] != rules:
                problems.append(f"{where}: differs from rules/foreshock.rules.yaml")
            text = item.get("data", {}).get("foreshock.json")
            if text is not None and json.loads(text) != dashboard:
                problems.append(f"{where}: differs from dashboards/foreshock.json")
            if item["kind"] in FOREIGN:
                continue
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(item, version, strict=True)
                except Exception as error:
                    problems.append(f"{where}: Kubernetes {version}: {error}")
    wanted = {"StatefulSet", "Service", "ConfigMap", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"}
    wanted |= {"Deployment", "Role", "RoleBinding"} | FOREIGN
    problems += [f"no set of values renders a {kind}" for kind in sorted(wanted - kinds)]
    fail(problems)


def config(engine, controller, *paths):
    schemas = {"foreshock.yaml": engine, "controller.yaml": controller}
    validators = {file: jsonschema.Draft202012Validator(json.load(open(schema))) for file, schema in schemas.items()}
    problems = []
    for path in paths:
        for item in documents(path):
            for file, text in (item.get("data") or {}).items():
                if file in validators:
                    errors = validators[file].iter_errors(yaml.safe_load(text))
                    problems += [f"{path}: {file}: {error.json_path}: {error.message}" for error in errors]
    fail(problems)


def rules_of(chart):
    groups = documents(f"{chart}/rules/foreshock.rules.yaml")[0]["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def alerts(chart):
    firing, silent = set(), set()
    for test in documents(f"{chart}/tests/rules.test.yaml")[0]["tests"]:
        for case in test["alert_rule_test"]:
            (firing if case["exp_alerts"] else silent).add(case["alertname"])
    names = set(rules_of(chart))
    problems = [f"{name} is not tested firing" for name in sorted(names - firing)]
    problems += [f"{name} is not tested silent" for name in sorted(names - silent)]
    problems += [f"{name} is tested and does not exist" for name in sorted((firing | silent) - names)]
    fail(problems)


def registered(source):
    """Names on the wire and the labels that come with them, from the Rust file that registers all of them."""
    text = open(source).read()
    types = dict(re.findall(r"^    pub\(super\) (\w+): (.+),$", text, re.M))
    labels = {kind: re.findall(r"pub\(super\) (\w+): &?'?\w+", body) for kind, body in
              re.findall(r"EncodeLabelSet\)\]\npub\(super\) struct (\w+) \{(.*?)\n\}", text, re.S)}
    calls = re.findall(r'r\.(register|register_with_unit)\(\s*"(\w+)".*?self\.(\w+)\.clone\(\)', text, re.S)
    names = {}
    for call, name, field in calls:
        kind = types[field]
        name = "foreshock_" + name + ("_seconds" if call == "register_with_unit" else "")
        counter = "Count" in kind
        label = re.search(r"(?:Count|Family)<(\w+)", kind)
        names[name + ("_total" if counter else "")] = set(labels[label[1]] if label else [])
    if len(names) != text.count("r.register"):
        sys.exit(f"{source}: {text.count('r.register')} metrics are registered, {len(names)} were understood")
    return names


def vet(where, expression, names):
    problems = []
    for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
        known = names.get(metric, set()) | {"job", "instance"}
        used = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
        problems += [f"{where}: {metric} has no label {label}" for label in sorted(used - known)]
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    rest = re.sub(r"\boffset\s+\w+", " ", rest)
    for name in re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()", rest):
        if name not in names and name not in WORDS and name != "up":
            problems.append(f"{where}: the engine registers no {name}")
    grouped = re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression)
    used = {label.strip() for group in grouped for label in group.split(",")}
    every = set().union(*names.values()) | {"job", "instance"}
    problems += [f"{where}: no metric has the label {label}" for label in sorted(used - every)]
    return problems


def expressions(chart, metrics):
    names = registered(metrics)
    dashboard = json.load(open(f"{chart}/dashboards/foreshock.json"))
    found = [(f"alert {name}", expression) for name, expression in rules_of(chart).items()]
    problems = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        where = f"panel {panel['title']!r}"
        if not panel.get("description") or not panel["fieldConfig"]["defaults"].get("unit"):
            problems.append(f"{where}: has no description or no unit")
        found += [(where, target["expr"]) for target in panel["targets"]]
    found += [("annotation", item["expr"]) for item in dashboard["annotations"]["list"] if "expr" in item]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            selector = re.fullmatch(r"label_values\((.+), *(\w+)\)", variable["definition"])
            found.append((f"variable {variable['name']}", selector[1]))
    plain = []
    for where, expression in found:
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        if "$" in expression:
            problems.append(f"{where}: a variable is unknown: {expression}")
        problems += vet(where, expression, names)
        plain.append(expression)
    shown = " ".join(plain)
    problems += [f"{name} is in no panel and no alert" for name in sorted(names) if name not in shown]
    if problems:
        fail(problems)
    rules = [{"record": f"check:expression:{index}", "expr": expression} for index, expression in enumerate(plain)]
    print(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}, width=10_000))


if __name__ == "__main__":
    commands = {"objects": objects, "config": config, "alerts": alerts, "expressions": expressions}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
