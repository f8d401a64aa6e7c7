"""Peers for the `accuracy` bench on NAB: river's half-space trees and a robust z-score.

    python3 benches/peers/nab_river.py DATA/nab OUT

One configuration for all files, causal: each row is scored before it is learnt from. One number per line in OUT/<peer>/<group>/<file>.txt. Half-space
trees have river's defaults (its limits of 0 to 1 are met by a running min-max scaler); the z-score is the distance from the
median of the last 1,000 values in median absolute deviations (a tenth of the standard deviation at least), both
renewed every 10 rows, at most 100. Needs numpy and river (0.26.1 in the record).
"""

import csv
import json
import pathlib
import sys

import numpy as np
from river import anomaly, preprocessing

WIDTH, RENEW, WARM = 1000, 10, 100


def half_space(values):
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=42)
    for value in values:
        row = {"value": value}
        yield model.score_one(row)
        model.learn_one(row)


def robust_z(values):
    centre, scale = 0.0, np.inf
    for row, value in enumerate(values):
        if row >= WARM and row % RENEW == 0:
            past = np.asarray(values[max(0, row - WIDTH) : row])
            centre = np.median(past)
            spread = 1.4826 * np.median(np.abs(past - centre))
            # Where most values are one value, the median deviation is nothing.
            scale = max(spread, 0.1 * past.std(), 1e-9 * max(abs(centre), 1.0))
        yield min(abs(value - centre) / scale, 100.0)


data, out = map(pathlib.Path, sys.argv[1:3])
names = json.loads((data / "labels" / "combined_windows.json").read_text())
for name in names:
    with open(data / "data" / name, newline="") as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    for peer, scores in (("halfspace", half_space(values)), ("robust", robust_z(values))):
        path = (out / peer / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, np.fromiter(scores, float), fmt="%.17g")
