"""Learns from readings when a pump fails, and logs to MLflow how well."""

import argparse

import mlflow
from model import Model
from readings import read

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--model", required=True)
args = parser.parse_args()

rows = read(args.data)
model = Model.trained(rows)
model.save(args.model)
mlflow.log_metric("training_accuracy", model.accuracy(rows))
print(f"trained on {len(rows)} readings: accuracy {model.accuracy(rows):.3f}")
