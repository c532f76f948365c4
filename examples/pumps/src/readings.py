"""Readings of pumps: CSV rows of temperature, vibration, and whether the pump failed within a day."""

import csv
from pathlib import Path


def read(folder):
    """All rows below the folder: [((temperature, vibration), failed)]."""
    rows = (row for path in sorted(Path(folder).rglob("*.csv")) for row in csv.DictReader(path.open()))
    return [((float(row["temperature"]), float(row["vibration"])), int(row["failed"])) for row in rows]
