"""{"readings": [[temperature, vibration], ...]} -> {"failed": [0, 1, ...]}."""

import json
import os

from model import Model


def init():
    global model
    model = Model.loaded(os.environ["AZUREML_MODEL_DIR"])


def run(raw_data):
    return {"failed": [model.predict(reading) for reading in json.loads(raw_data)["readings"]]}
