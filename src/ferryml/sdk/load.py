"""YAML files as specs: one loader a kind, and `load` for whatever a file holds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ferryml.domain.errors import Refused
from ferryml.domain.expressions import check
from ferryml.domain.parse import Parsed, Place, parse
from ferryml.domain.spec import (
    Automation,
    Code,
    CommandJob,
    Compute,
    Data,
    Datastore,
    Environment,
    KubernetesCompute,
    LocalCompute,
    Model,
    OnlineDeployment,
    OnlineEndpoint,
    Rollout,
    Spec,
    Webhook,
    Workspace,
)
from ferryml.domain.spec.common import problem
from ferryml.domain.spec.deployment import check_complete
from ferryml.domain.spec.values import is_uri
from ferryml.sdk.documents import Document, absolute, read_document, read_documents
from ferryml.sdk.embed import embed
from ferryml.sdk.kinds import KINDS, kind_of, without_kind
from ferryml.sdk.overrides import Override, override

S = TypeVar("S", bound=Spec)
Source = str | os.PathLike[str] | None
"""A YAML file; None: an empty document, filled by params_override, with paths relative to the current folder."""

EVALUATION_INPUTS = ("candidate", "champion")
"""Inputs of an evaluation job that the automation itself fills: the two models to compare."""

Warn = Callable[[str], None]


class FerryWarning(UserWarning):
    """A document holds something that is accepted but will not do what its author may expect."""


class Loaded(NamedTuple):
    """One document of a file.

    Args:
        said: whether the document itself says its kind.
        used: files and folders that are part of it, absolute; a folder that holds the document's own file is none.
    """

    kind: str
    spec: Spec
    warnings: tuple[str, ...]
    said: bool = False
    used: frozenset[Path] = frozenset()


def load_job(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> CommandJob:
    """A command job; its expressions are checked. Raises Refused with file, line and key."""
    return _load(CommandJob, path, params_override, warn)


def load_endpoint(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> OnlineEndpoint:
    """An online endpoint."""
    return _load(OnlineEndpoint, path, params_override, warn)


def load_deployment(
    path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None
) -> OnlineDeployment:
    """An online deployment with its environment inline."""
    return _load(OnlineDeployment, path, params_override, warn)


def load_data(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Data:
    """A data asset."""
    return _load(Data, path, params_override, warn)


def load_model(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Model:
    """A model asset."""
    return _load(Model, path, params_override, warn)


def load_environment(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Environment:
    """An environment with its conda file inline."""
    return _load(Environment, path, params_override, warn)


def load_code(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Code:
    """A code asset."""
    return _load(Code, path, params_override, warn)


def load_compute(
    path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None
) -> KubernetesCompute | LocalCompute:
    """A compute, told apart by its type."""
    found: KubernetesCompute | LocalCompute = _load(Compute, path, params_override, warn)
    return found


def load_datastore(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Datastore:
    """A datastore."""
    return _load(Datastore, path, params_override, warn)


def load_workspace(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Workspace:
    """A workspace."""
    return _load(Workspace, path, params_override, warn)


def load_rollout(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Rollout:
    """A rollout with its deployment inline."""
    return _load(Rollout, path, params_override, warn)


def load_webhook(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Webhook:
    """A webhook; its secret stands in no file."""
    return _load(Webhook, path, params_override, warn)


def load_automation(path: Source, params_override: Iterable[Override] = (), warn: Warn | None = None) -> Automation:
    """An automation with its jobs and deployment inline."""
    return _load(Automation, path, params_override, warn)


def load(path: str | os.PathLike[str]) -> list[Loaded]:
    """Every document of a file by its own kind, in the order in which they can be made."""
    found = []
    for document in read_documents(path):
        kind = kind_of(document)
        parsed: Parsed[Spec] = _parse(KINDS[kind], document)
        _check(parsed.spec)
        used = frozenset(document.used - {*document.path.parents})
        found.append(Loaded(kind, parsed.spec, parsed.warnings, "kind" in document.data, used))
    if not found:
        raise Refused("BadYaml", f"{path}: holds no document", "Write at least one.")
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index(one.kind))


def _load(kind: type[S] | Any, path: Source, overrides: Iterable[Override], warn: Warn | None) -> S:
    empty = Document({}, {(): Place("the command line")}, Path(os.path.abspath("-")))
    document = override(empty if path is None else read_document(path), overrides)
    made: S = read(kind, document, "" if path is None else str(path), warn)
    return made


def read(kind: Any, document: Document, source: str, warn: Warn | None = None) -> Any:
    """A spec from a document, checked as a document by itself; `source` stands before its warnings."""
    parsed: Parsed[Any] = _parse(kind, document)
    _check(parsed.spec)
    for message in parsed.warnings:
        text = f"{source}: {message}" if source else message
        if warn is None:
            warnings.warn(text, FerryWarning, stacklevel=4)
        else:
            warn(text)
    return parsed.spec


def _parse(kind: type[S] | Any, document: Document) -> Parsed[S]:
    notes: list[str] = []
    document = without_kind(document, kind)

    def load_file(child: type[Spec], file: Path) -> Spec:
        named = read_document(file)
        inner: Parsed[Spec] = _parse(child, named)
        document.used.update(named.used)
        notes.extend(f"{file.name}: {note}" for note in inner.warnings)
        return inner.spec

    def locate(written: str) -> str:
        found = absolute(document.folder, written)
        if not found.exists():
            raise problem("FileNotFound", f"{written!r} does not exist in {document.folder}")
        document.used.add(found)
        return str(found)

    parsed: Parsed[S] = parse(kind, embed(kind, document, load_file), document.positions, locate)
    return Parsed(parsed.spec, (*notes, *parsed.warnings))


def _check(spec: Spec) -> None:
    """What a document must have by itself, and a file inside another need not."""
    match spec:
        case CommandJob():
            check(spec)
        case OnlineDeployment():
            check_complete(spec)
            _check_script(spec)
        case Rollout():
            _check(spec.deployment)
        case Automation():
            _check_automation(spec)


def _check_automation(spec: Automation) -> None:
    for step, place, given in ((spec.create_job, "create_job", ()), (spec.evaluate, "evaluate", EVALUATION_INPUTS)):
        if step is None or not isinstance(step.job, CommandJob):
            continue
        known = [*step.job.inputs]
        if unknown := sorted(set(step.inputs) - set(known)):
            message = f"{place}.inputs.{unknown[0]} is no input of the job; it has: {', '.join(known) or 'none'}"
            raise Refused("UnknownField", message, "Declare the input in the job's file.")
        check(step.job, {*step.inputs, *given})
    if spec.rollout:
        _check_script(spec.rollout.deployment)


def _check_script(deployment: OnlineDeployment) -> None:
    config = deployment.code_configuration
    if config and not is_uri(config.code) and not (Path(config.code) / config.scoring_script).is_file():
        message = f"scoring_script {config.scoring_script!r} does not exist in {config.code}"
        raise Refused("FileNotFound", message, "It is relative to code_configuration.code.")
