"""Answers which digit an image shows: {"image": [64 numbers]} -> {"predictions": [7]}."""

import json
import os
import pickle
from pathlib import Path

import numpy as np


def init():
    global model
    [path] = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.pkl")
    model = pickle.loads(path.read_bytes())


def run(raw_data):
    image = np.array(json.loads(raw_data)["image"], dtype=float).reshape(1, 64)
    return {"predictions": [int(model.predict(image)[0])]}
