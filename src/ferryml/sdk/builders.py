"""Specs from Python instead of YAML: the same language, read from the folder of the caller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryml.domain.parse import Place
from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.job import CommandJob
from ferryml.sdk.documents import Document
from ferryml.sdk.load import Warn, read


def command(command: str, **fields: Any) -> CommandJob:
    """A command job.

    Args:
        command: run by `/bin/bash -c` in the folder of the code.
        fields: keys of the job's YAML: `environment` (reference, mapping or Environment), `code` (local folder),
            `inputs` and `outputs` (literals, references, Input, Output), `compute`, `resources`,
            `limits={"timeout": seconds}`, ...

    Local paths are relative to the current folder and must exist.

    Raises:
        Refused: `UnknownField`, `MissingField`, `BadValue`, `FileNotFound`, `UnresolvedExpression`, ...

    Example:
        job = command(
            "python train.py --rate ${{inputs.rate}}", code="./src", environment="azureml:digits@latest",
            inputs={"rate": 0.1}, compute="onprem",
        )
        client.jobs.create(job)
    """
    job: CommandJob = build(CommandJob, {"command": command, **fields})
    return job


def build(kind: Any, fields: Mapping[str, Any], warn: Warn | None = None) -> Any:
    """A spec of `kind` (CommandJob, Model, OnlineEndpoint, ...) from keys as they stand in YAML.

    Raises Refused as the loaders do; the place of a fault is the key.
    """
    data = {key: plain(value) for key, value in fields.items() if value is not None}
    document = Document(data, {(): Place("the arguments")}, Path(os.path.abspath("-")))
    return read(kind, document, "the arguments", warn)


def plain(value: Any) -> Any:
    """Specs, paths and collections of them as what YAML would have held; what was not given stays unsaid."""
    if isinstance(value, Spec):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
