"""Peers for the `peers` bench: what Python has, one thread, on the same data.

    python3 benches/peers/speed.py FOLDER

FOLDER holds train.csv and test.csv (eight features; test.csv has a ninth column, 1 for a row that stands out), series.csv (one value a line) and
lines.json (a list of lists of log lines). One JSON object per peer goes to stdout. A peer that is not installed is a line that says so.
Needs, as far as they are wanted: numpy, scikit-learn, isotree, river, rrcf, drain3, statsmodels.
"""

import importlib.metadata
import json
import logging
import pathlib
import sys
import time

import numpy as np

FOLDER = pathlib.Path(sys.argv[1])
CORE = "core tier, per point"
SCORING = "isolation forest, scoring, per row"
UPDATING = "isolation forest, scoring and learning as rows come, per row"
LOGS = "log lines to templates, learning, per line"


def best(runs, work):
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def auc(scores, odd):
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    n = odd.sum()
    return (ranks[odd].sum() - n * (n + 1) / 2) / (n * (len(odd) - n))


def peer(table, package, what):
    """Runs a peer and prints its line; `what` gives rate and note."""

    def run(work):
        try:
            version = importlib.metadata.version(package)
            rate, note = work()
        except Exception as error:  # any failure of a peer is a line of the record
            print(json.dumps({"table": table, "name": f"{package}, {what}", "per_second": 0, "note": f"did not run: {error}"}))
            return
        line = {"table": table, "name": f"{package} {version}, {what}", "per_second": rate, "note": note}
        print(json.dumps(line), flush=True)

    return run


train = np.loadtxt(FOLDER / "train.csv", delimiter=",")
labelled = np.loadtxt(FOLDER / "test.csv", delimiter=",")
test, odd = np.ascontiguousarray(labelled[:, :-1]), labelled[:, -1] > 0.5
series = np.loadtxt(FOLDER / "series.csv")


@peer(SCORING, "scikit-learn", "IsolationForest")
def _():
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=1, n_jobs=1).fit(train)
    seconds = best(3, lambda: forest.score_samples(test))
    return len(test) / seconds, f"AUC {auc(-forest.score_samples(test), odd):.4f}"


@peer(SCORING, "isotree", "IsolationForest")
def _():
    from isotree import IsolationForest

    forest = IsolationForest(ntrees=100, sample_size=256, ndim=1, nthreads=1, random_seed=1).fit(train)
    seconds = best(3, lambda: forest.predict(test))
    return len(test) / seconds, f"AUC {auc(forest.predict(test), odd):.4f}"


@peer(UPDATING, "river", "HalfSpaceTrees, 100 trees")
def _():
    from river import anomaly

    model = anomaly.HalfSpaceTrees(n_trees=100, height=8, window_size=256, seed=1)
    rows = [dict(enumerate(row)) for row in (train[:500] / 12 + 0.5)]

    def work():
        for row in rows:
            model.score_one(row)
            model.learn_one(row)

    return len(rows) / best(1, work), "values brought to 0 to 1"


@peer(UPDATING, "rrcf", "100 trees of 256 rows")
def _():
    import rrcf

    trees = [rrcf.RCTree() for _ in range(100)]
    for index, row in enumerate(train[:256]):
        for tree in trees:
            tree.insert_point(row, index=index)
    rows = train[256:276]

    def work():
        for at, row in enumerate(rows):
            for tree in trees:
                tree.forget_point(at)
                tree.insert_point(row, index=256 + at)
                tree.codisp(256 + at)

    return len(rows) / best(1, work), "the oldest row is forgotten for each new one"


@peer(CORE, "river", "HoltWinters, learn and forecast")
def _():
    from river import time_series

    model = time_series.HoltWinters(alpha=0.1, beta=0.01, gamma=0.1, seasonality=24)
    values = series[:2000]

    def work():
        for at, value in enumerate(values):
            if at > 48:
                model.forecast(1)
            model.learn_one(value)

    return len(values) / best(1, work), "level, trend, one season; one series"


@peer(CORE, "statsmodels", "STL, refit per point")
def _():
    from statsmodels.tsa.seasonal import STL

    values = series[:2000]
    return 1 / best(3, lambda: STL(values, period=24).fit()), "decomposition alone, of 2,000 points"


@peer(LOGS, "drain3", "TemplateMiner")
def _():
    from drain3 import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig

    logging.disable(logging.CRITICAL)
    systems = json.loads((FOLDER / "lines.json").read_text())

    def work():
        for lines in systems:
            miner = TemplateMiner(config=TemplateMinerConfig())
            for line in lines:
                miner.add_log_message(line)

    return sum(map(len, systems)) / best(1, work), "without masks"
