"""Handwritten digits as this demo keeps them: 8x8 grey images in a CSV, one row each, the label last."""

import csv
from pathlib import Path

import numpy as np


def read(folder):
    """All rows of all CSV files below `folder`: images (n, 64) as floats 0..16, labels (n,) as integers."""
    rows = [row for path in sorted(Path(folder).rglob("*.csv")) for row in csv.reader(path.open())]
    table = np.array(rows, dtype=float)
    return table[:, :-1], table[:, -1].astype(int)


def write(path, images, labels):
    """The same format, for whoever makes data."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*np.round(image, 2), label] for image, label in zip(images, labels, strict=True))
