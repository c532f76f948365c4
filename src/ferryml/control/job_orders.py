"""From a command job as written to an order that needs nothing more: every reference resolved, every rule asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from ferryml.control import computes, datastores, environments
from ferryml.control.contents import Content, Contents
from ferryml.control.context import Deps
from ferryml.control.ports import Edge
from ferryml.control.rows import need_workspace
from ferryml.domain.errors import Refused
from ferryml.domain.expressions import as_text, substitute
from ferryml.domain.orders import DatastorePath, InputOrder, JobOrder, OutputOrder, Residency
from ferryml.domain.placement import Ask, Place, check, check_builds
from ferryml.domain.refs import DatastoreRef, parse_ref
from ferryml.domain.residency import inherited, may_leave, output_matter
from ferryml.domain.spec.io import Input, Output, Scalar
from ferryml.domain.spec.job import CommandJob
from ferryml.domain.spec.workspace import Workspace

MODELS = ("custom_model", "mlflow_model", "triton_model")


@dataclass(frozen=True, slots=True)
class Resolved:
    """An order with what the server keeps beside it."""

    order: JobOrder
    place: Place
    edges: tuple[Edge, ...]
    inputs: dict[str, str]
    """Input -> lineage node with the version that was meant."""
    notes: tuple[str, ...]


def resolve(deps: Deps, workspace: str, job: CommandJob, name: str) -> Resolved:
    """The whole of it; raises Refused or NotFound with the reason, before anything was written."""
    with deps.store.read() as tx:
        place = computes.place_of(tx, workspace, job.compute)
        settings = Workspace.model_validate(need_workspace(tx, workspace).spec)
    contents = Contents(deps, workspace)
    inputs = {key: made for key, value in job.inputs.items() if (made := _content(contents, value)) is not None}
    residency = inherited(content.binding(f"inputs.{key}") for key, content in inputs.items())
    code = contents.of(job.code, ("code",)) if job.code else None
    outputs, only = _outputs(deps, workspace, job, _Naming(name, settings.default_datastore), residency)
    only |= {f"inputs.{key}": content.site for key, content in inputs.items() if content.site}
    ask = Ask(residency=residency, instance_type=job.resources.instance_type or "", only_sites=only)
    notes = check(ask, place)
    environment = environments.order(deps, workspace, cast(Any, job.environment))
    if environment.build is not None:
        check_builds(place)
    order = JobOrder(
        workspace=workspace, name=name, compute=place.compute, namespace=place.namespace, command=job.command,
        code=_code_tree(code), environment=environment, environment_variables=dict(job.environment_variables),
        inputs={key: _input(job.inputs[key], inputs.get(key)) for key in job.inputs if _given(job.inputs[key])},
        outputs=outputs, timeout_s=job.limits.timeout, instance_type=job.resources.instance_type or "",
        instance_count=job.resources.instance_count, shm_size=job.resources.shm_size,
        distribution=job.distribution.model_dump(mode="json") if job.distribution else {},
        mlflow_experiment=job.experiment_name or "Default", residency=residency,
        labels={"workspace": workspace, "compute": place.compute, **_queue_labels(job)},
    )  # fmt: skip
    nodes = {key: content.node for key, content in inputs.items() if content.node}
    return Resolved(order, place, _edges(workspace, name, nodes, code, environment.name), nodes, notes)


def _queue_labels(job: CommandJob) -> dict[str, str]:
    """By the names that Kueue reads on a Job."""
    said = job.queue_settings
    named = {"kueue.x-k8s.io/queue-name": said.queue, "kueue.x-k8s.io/priority-class": said.priority_class}
    return {label: value for label, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class _Naming:
    job: str
    datastore: str | None


def _given(value: Input | Scalar) -> bool:
    return not isinstance(value, Input) or value.path is not None or value.default is not None


def _content(contents: Contents, value: Input | Scalar) -> Content | None:
    if not isinstance(value, Input) or value.path is None:
        return None
    first = ("model", "data") if value.type in MODELS else ("data", "model")
    content = contents.of(value.path, first)  # type: ignore[arg-type]
    if value.type in MODELS and content.type and content.type not in MODELS:
        words = f"{value.path} is {content.type}, the input wants {value.type}"
        raise Refused("BadReference", words, "Correct the input's type, or name a model.")
    return content


def _input(value: Input | Scalar, content: Content | None) -> InputOrder:
    if not isinstance(value, Input):
        return InputOrder(type=_literal_type(value), literal=as_text(value))
    if content is None:
        literal = cast(Scalar, value.default)
        return InputOrder(type=value.type or _literal_type(literal), literal=as_text(_typed(value.type, literal)))
    kind = value.type or content.type or ("uri_file" if content.tree and content.tree.kind == "file" else "uri_folder")
    return InputOrder(
        type=kind, mode=value.mode or "ro_mount", tree=content.tree, place=content.place, uri=content.uri,
        asset=content.node, zones=content.zones, site_only=content.site_only,
    )  # fmt: skip


def _typed(kind: str | None, literal: Scalar) -> Scalar:
    """A boolean that was written as text is rendered True or False all the same."""
    return str(literal).lower() == "true" if kind == "boolean" else literal


def _literal_type(value: Scalar) -> str:
    known: dict[type, str] = {bool: "boolean", int: "integer", float: "number"}
    return known.get(type(value), "string")


def _outputs(
    deps: Deps, workspace: str, job: CommandJob, naming: _Naming, residency: Residency
) -> tuple[dict[str, OutputOrder], dict[str, str]]:
    made: dict[str, OutputOrder] = {}
    only: dict[str, str] = {}
    for key, output in job.outputs.items():
        if key == "default":
            raise Refused("BadName", "the output name default is taken: it is ./outputs and ./logs", "Rename it.")
        place, zone, site = _output_place(deps, workspace, key, output, naming)
        if zone and residency.zones and zone not in residency.zones:
            _refuse_exit(residency, key, output, zone)
        if site:
            only[f"outputs.{key}"] = site
        made[key] = OutputOrder(
            type=output.type, mode=output.mode, place=place, asset_name=output.name or "",
            asset_version=output.version or "",
        )  # fmt: skip
    return made, only


def _output_place(
    deps: Deps, workspace: str, key: str, output: Output, naming: _Naming
) -> tuple[DatastorePath | None, str, str]:
    if output.path is None and not naming.datastore:
        return None, "", ""
    scope = {"name": naming.job, "default_datastore": naming.datastore or ""}
    path = output.path or f"azureml://datastores/{naming.datastore}/paths/azureml/{naming.job}/{key}"
    ref = parse_ref(substitute(path, scope, f"outputs.{key}.path"))
    if not isinstance(ref, DatastoreRef):
        raise Refused(
            "BadReference", f"output {key}: {path!r} is not a datastore path",
            "Write azureml://datastores/NAME/paths/PATH, or leave path out.",
        )  # fmt: skip
    with deps.store.read() as tx:
        return datastores.reach(tx, workspace, ref.datastore, ref.path)


def _refuse_exit(residency: Residency, key: str, output: Output, zone: str) -> None:
    if not may_leave(residency, output_matter(output.type)):
        raise Refused(
            "ResidencyViolation",
            f"output {key} would be written in zone {zone}, and its inputs are bound to {', '.join(residency.zones)}",
            "Write it to a datastore of that zone, or let the data's owner release it.",
        )


def _code_tree(code: Content | None) -> Any:
    if code is None:
        return None
    if code.tree is None:
        raise Refused("NotSupported", "code is taken from an uploaded folder only", "Give a local folder.")
    return code.tree


def _edges(
    workspace: str, name: str, inputs: dict[str, str], code: Content | None, environment: str
) -> tuple[Edge, ...]:
    job = f"job:{name}"
    edge: Callable[[str, str], Edge] = lambda source, relation: Edge(  # noqa: E731  three uses, one shape
        workspace=workspace, source=source, relation=relation, target=job
    )
    found = [edge(node, "input") for node in dict.fromkeys(inputs.values()) if node != job]
    if code is not None and code.tree is not None:
        found.append(edge(code.node or f"code:{code.tree.digest.removeprefix('sha256:')}", "code"))
    if environment:
        found.append(edge(environment, "environment"))
    return tuple(found)
