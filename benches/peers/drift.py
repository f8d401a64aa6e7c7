"""Peers for the `accuracy` bench on drift: the detectors of river and frouros, with their defaults.

    python3 benches/peers/drift.py DATA/drift OUT

Each watches the errors of a Gaussian naive Bayes classifier (the same as the bench's, row by row: judged, then taught), which begins anew
where a drift is told, as the detector does; and the outcomes that the bench wrote into OUT/generated. Writes OUT/told.csv: detector, stream,
row. Only warnings of drift count, in either direction where a detector does not tell one from the other. Needs river (0.26.1 in the record) and
frouros (0.9.0). river's KSWIN and frouros' STEPD take a
hundred times as long an outcome as the others and are left out.
"""

import math
import pathlib
import sys

from frouros.detectors.concept_drift import ECDDWT, RDDM
from river import drift


class River:
    def __init__(self, make):
        self.detector = make()

    def told(self, wrong):
        self.detector.update(wrong)
        return self.detector.drift_detected


class Frouros:
    def __init__(self, make):
        self.detector = make()

    def told(self, wrong):
        self.detector.update(value=wrong)
        return self.detector.drift


DETECTORS = {
    "river ADWIN": lambda: River(drift.ADWIN),
    "river Page-Hinkley": lambda: River(drift.PageHinkley),
    "river DDM": lambda: River(drift.binary.DDM),
    "river EDDM": lambda: River(drift.binary.EDDM),
    "river HDDM_A": lambda: River(drift.binary.HDDMA),
    "river HDDM_W": lambda: River(drift.binary.HDDMW),
    "frouros RDDM": lambda: Frouros(RDDM),
    "frouros ECDD-WT": lambda: Frouros(ECDDWT),
}


class Bayes:
    """Two classes; Welford's means and variances, variances of 0.001 at least."""

    def __init__(self, attributes):
        self.counts = [0, 0]
        self.means = [[0.0] * attributes, [0.0] * attributes]
        self.squares = [[0.0] * attributes, [0.0] * attributes]

    def judge(self, row):
        best = []
        for count, means, squares in zip(self.counts, self.means, self.squares):
            likelihood = math.log(count + 1)
            for value, mean, square in zip(row, means, squares):
                variance = max(square / max(count - 1, 1), 1e-3)
                likelihood -= 0.5 * ((value - mean) ** 2 / variance + math.log(variance))
            best.append(likelihood)
        return best[1] > best[0]

    def learn(self, row, is_first):
        index = int(is_first)
        self.counts[index] += 1
        means, squares = self.means[index], self.squares[index]
        for at, value in enumerate(row):
            before = value - means[at]
            means[at] += before / self.counts[index]
            squares[at] += before * (value - means[at])


def read(path):
    numbers = {"true": 1.0, "false": 0.0}
    rows = []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("@"):
            continue
        *cells, label = line.split(",")
        values = [numbers[cell] if cell in numbers else float(cell) for cell in map(str.lower, map(str.strip, cells))]
        rows.append((values, label.strip() == "p"))
    return rows


def watch_classifier(rows, make):
    bayes, detector = Bayes(len(rows[0][0])), make()
    for at, (row, is_first) in enumerate(rows):
        wrong = bayes.judge(row) != is_first
        bayes.learn(row, is_first)
        if detector.told(int(wrong)):
            yield at
            bayes, detector = Bayes(len(row)), make()


def watch_outcomes(outcomes, make):
    detector = make()
    for at, outcome in enumerate(outcomes):
        if detector.told(int(outcome == "1")):
            yield at
            detector = make()


def main(data, out):
    with (out / "told.csv").open("w") as told:
        for path in sorted(data.glob("*.arff")):
            rows = read(path)
            for name, make in DETECTORS.items():
                for at in watch_classifier(rows, make):
                    print(name, path.stem, at, sep=",", file=told)
        for path in sorted((out / "generated").glob("*.txt")):
            outcomes = path.read_text()
            for name, make in DETECTORS.items():
                for at in watch_outcomes(outcomes, make):
                    print(name, path.stem, at, sep=",", file=told)
    (out / "detectors.txt").write_text("\n".join(DETECTORS))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
