"""The scoring script of MLflow models: what is served when the user brings a model and no code."""

from __future__ import annotations

SCRIPT = '''"""Serves an MLflow model through mlflow.pyfunc. Made by Ferry."""

import json
import math
import os

import mlflow.pyfunc
import numpy
import pandas
from azureml_inference_server_http.api.aml_response import AMLResponse
from mlflow.exceptions import MlflowException

KEYS = ("input_data", "dataframe_split", "dataframe_records", "inputs", "instances", "data")


def init():
    global model, schema
    model = mlflow.pyfunc.load_model(os.environ["MODEL_FILE_PATH"])
    schema = model.metadata.get_input_schema()


def run(raw_data):
    try:
        payload = json.loads(raw_data)
        params = payload.get("params") if isinstance(payload, dict) else None
        data = typed(read(payload))
    except (TypeError, ValueError, KeyError) as error:
        return refused(error)
    try:
        return plain(model.predict(data, params=params) if params else model.predict(data))
    except MlflowException as error:
        if error.error_code == "BAD_REQUEST" or error.error_code.startswith("INVALID_PARAMETER"):
            return refused(error)
        raise


def refused(error):
    """The caller's fault: not a failure of the model."""
    return AMLResponse({"message": f"the input cannot be read: {error}"}, 400, json_str=True)


def read(payload):
    if not isinstance(payload, dict):
        return table(payload)
    given = [key for key in KEYS if key in payload]
    if len(given) != 1:
        raise ValueError("give exactly one of " + ", ".join(KEYS))
    key, value = given[0], payload[given[0]]
    if key == "dataframe_split" or (isinstance(value, dict) and "data" in value):
        rows = {name: value[name] for name in ("data", "columns", "index") if name in value}
        return pandas.DataFrame(**rows)
    if key == "dataframe_records":
        return pandas.DataFrame.from_records(value)
    if isinstance(value, dict):
        return {name: numpy.asarray(column) for name, column in value.items()}
    return table(value)


def table(value):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return pandas.DataFrame.from_records(value)
    try:
        array = numpy.asarray(value)
    except ValueError:
        return pandas.DataFrame(value)
    return pandas.DataFrame(value) if array.dtype == object else array


def typed(data):
    if schema is None:
        return data
    if schema.is_tensor_spec():
        return tensors(data)
    if isinstance(data, dict):
        data = pandas.DataFrame(data)
    names = schema.input_names() if schema.has_input_names() else None
    if isinstance(data, numpy.ndarray):
        data = pandas.DataFrame(data.reshape(1, -1) if data.ndim == 1 and names and len(names) > 1 else data)
    if names and len(names) == data.shape[1] and not set(names) <= set(data.columns):
        data.columns = names
    for position, spec in enumerate(schema.inputs):
        name = spec.name if spec.name is not None else position
        if name in data.columns and hasattr(spec.type, "to_pandas"):
            try:
                data[name] = data[name].astype(spec.type.to_pandas())
            except (TypeError, ValueError):
                pass  # the model's own check says it better
    return data


def tensors(data):
    if isinstance(data, dict):
        kinds = dict(zip(schema.input_names(), schema.numpy_types()))
        return {name: value.astype(kinds.get(name, value.dtype)) for name, value in data.items()}
    array = data.to_numpy() if isinstance(data, pandas.DataFrame) else data
    return array.astype(schema.numpy_types()[0])


def plain(value):
    if isinstance(value, pandas.DataFrame):
        return plain(value.to_dict(orient="records"))
    if isinstance(value, (pandas.Series, numpy.ndarray, numpy.generic)):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
'''
