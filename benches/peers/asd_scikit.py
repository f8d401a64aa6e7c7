"""Peers for the `asd` bench: scikit-learn's isolation forest and PCA reconstruction error.

    python3 benches/peers/asd_scikit.py DATA/asd OUT

Both are fitted on a server's train file, metrics standardised by its mean and deviation, and score its test file; one number per line in
OUT/iforest_omi-N.txt and OUT/pca_omi-N.txt. Needs numpy and scikit-learn (1.9.1 in the record).
"""

import pathlib
import sys

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

data, out = map(pathlib.Path, sys.argv[1:3])
out.mkdir(parents=True, exist_ok=True)
for number in range(1, 13):
    name = f"omi-{number}"
    train = np.loadtxt(data / f"{name}_train.csv", delimiter=",", skiprows=1)[:, 1:]
    test = np.loadtxt(data / f"{name}_test.csv", delimiter=",", skiprows=1)[:, 1:-1]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0.0] = 1.0
    train, test = (train - mean) / deviation, (test - mean) / deviation
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(train)
    pca = PCA(n_components=0.9, svd_solver="full").fit(train)
    lost = test - pca.inverse_transform(pca.transform(test))
    scores = {"iforest": -forest.score_samples(test), "pca": np.square(lost).sum(axis=1)}
    for peer, score in scores.items():
        np.savetxt(out / f"{peer}_{name}.txt", score, fmt="%.17g")
