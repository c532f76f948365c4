"""Measures a candidate and, where there is one, the champion, on the same images."""

import argparse
import pickle
from pathlib import Path

import mlflow
from digits import read

parser = argparse.ArgumentParser()
parser.add_argument("--test-data", required=True)
parser.add_argument("--candidate", required=True)
parser.add_argument("--champion")
args = parser.parse_args()

images, labels = read(args.test_data)
for role in ("candidate", "champion"):
    folder = getattr(args, role)
    if folder:
        [path] = Path(folder).rglob("model.pkl")
        accuracy = pickle.loads(path.read_bytes()).score(images, labels)
        mlflow.log_metric(f"{role}_accuracy", accuracy)
        print(f"{role}: accuracy {accuracy:.4f} on {len(images)} images")
