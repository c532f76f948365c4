"""Trains a classifier of handwritten digits and logs what it did to MLflow."""

import argparse
import pickle
from pathlib import Path

import mlflow
from digits import read
from models import MODELS

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--kind", choices=MODELS, default="linear")
args = parser.parse_args()

images, labels = read(args.data)
model = MODELS[args.kind]().fit(images, labels)
mlflow.log_params({"kind": args.kind, "images": len(images)})
mlflow.log_metric("training_accuracy", model.score(images, labels))
Path(args.model).mkdir(parents=True, exist_ok=True)
(Path(args.model) / "model.pkl").write_bytes(pickle.dumps(model))
print(f"trained a {args.kind} model on {len(images)} images")
