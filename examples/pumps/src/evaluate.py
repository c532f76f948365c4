"""Measures a candidate and, where there is one, the champion on the same readings."""

import argparse

import mlflow
from model import Model
from readings import read

parser = argparse.ArgumentParser()
parser.add_argument("--test-data", required=True)
parser.add_argument("--candidate", required=True)
parser.add_argument("--champion")
args = parser.parse_args()

rows = read(args.test_data)
for role in ("candidate", "champion"):
    folder = getattr(args, role)
    if folder:
        accuracy = Model.loaded(folder).accuracy(rows)
        mlflow.log_metric(f"{role}_accuracy", accuracy)
        print(f"{role}: accuracy {accuracy:.3f} on {len(rows)} readings")
