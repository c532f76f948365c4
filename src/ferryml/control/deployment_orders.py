"""From a deployment as written to a revision that a site can serve: every reference resolved, every rule asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ferryml.compile.environment import environment_order
from ferryml.compile.serving import MLFLOW_FILES, flavor_of, mlflow_environment, serving_environment
from ferryml.control import artifacts, computes, environments
from ferryml.control.collection_orders import BUCKETS, LOCAL, check_flavor, collection_order, places
from ferryml.control.contents import Content, Contents
from ferryml.control.context import Deps
from ferryml.control.ports import Edge
from ferryml.domain.curated import TRITON_IMAGE
from ferryml.domain.errors import Refused
from ferryml.domain.instance_types import choose, with_resources
from ferryml.domain.orders import EnvironmentOrder, ModelSource, RevisionOrder, TreeRef
from ferryml.domain.placement import Ask, Place, check, check_builds
from ferryml.domain.residency import inherited
from ferryml.domain.spec.deployment import OnlineDeployment, TargetUtilization, check_complete
from ferryml.domain.spec.model import Model

Flavor = Literal["script", "mlflow", "custom", "triton"]
_FLOATS = re.compile(r"azureml:[^:/]+")
"""A reference whose version is looked up: azureml:NAME, azureml:NAME@LABEL."""
MAX_MODEL_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resolved:
    """A revision with what the server keeps beside it."""

    revision: RevisionOrder
    place: Place
    edges: tuple[Edge, ...]
    notes: tuple[str, ...]


def resolve(deps: Deps, workspace: str, endpoint: str, compute: str, spec: OnlineDeployment) -> Resolved:
    """The whole of it; raises Refused or NotFound with the reason, before anything was written."""
    check_complete(spec)
    with deps.store.read() as tx:
        place = computes.place_of(tx, workspace, compute)
    contents = Contents(deps, workspace)
    model, model_name, model_type = _model(contents, spec, place.backend)
    code = _code(contents, spec)
    given = environments.order(deps, workspace, spec.environment) if spec.environment is not None else None
    flavor = _flavor(spec, model_type, given)
    check_flavor(collection_order(spec.data_collector), flavor)
    if flavor == "triton" and place.backend == "local":
        raise Refused(
            "NotSupported", f"compute {place.compute} is a local site, which has no Triton server",
            "Deploy it to a Kubernetes compute, or serve it by a script.",
        )  # fmt: skip
    residency = inherited(content.binding("model") for content in (model,) if content is not None)
    records, only = places(deps, workspace, spec.data_collector, residency, place.backend)
    only |= {"model": model.site} if model is not None and model.site else {}
    ask = Ask(residency=residency, instance_type=spec.instance_type or "", only_sites=only, work="endpoint")
    notes = check(ask, place)
    if place.backend == "kubernetes" and place.inventory and spec.resources:
        with_resources(choose(place.types, spec.instance_type or ""), spec.resources.model_dump(mode="json"))
    environment = _environment(deps, workspace, given, flavor, model)
    if environment.build is not None:
        check_builds(place)
    if flavor == "custom" and place.backend == "local" and not spec.command:
        raise Refused(
            "BadArgument", "a local site runs no images, so it cannot know how to start this container",
            "Add command: HOW TO START IT, with $PORT where its port goes, or deploy it to a Kubernetes compute.",
        )  # fmt: skip
    name = deps.dice.id(10)
    revision = RevisionOrder(
        revision=name, deployment=spec.name, flavor=flavor,
        model=model.tree if model else None, model_name=model_name, model_source=_source(model, name),
        model_mount_path=spec.model_mount_path,
        code=code.tree if code else None,
        scoring_script=spec.code_configuration.scoring_script if spec.code_configuration else "",
        environment=environment, environment_variables=dict(spec.environment_variables), command=spec.command,
        site_only=bool(model and model.site_only), residency=residency,
        resources=spec.resources.model_dump(mode="json") if spec.resources else {}, **elastic(spec),
    )  # fmt: skip
    if revision.collect is not None and records:
        revision = revision.model_copy(update={"collect": revision.collect.model_copy(update={"places": records})})
    edges = _edges(workspace, f"deployment:{endpoint}/{spec.name}:{revision.revision}", model, code, environment)
    return Resolved(revision, place, edges, notes)


def pinned(spec: OnlineDeployment, revision: RevisionOrder) -> OnlineDeployment:
    """The spec with versions in place of labels, so that it means the same wherever and whenever it is taken up."""
    changes: dict[str, Any] = {}
    for field, node in (("model", revision.model_name), ("environment", revision.environment.name)):
        text = getattr(spec, field)
        if isinstance(text, str) and _FLOATS.fullmatch(text) and node.startswith(f"{field}:"):
            changes[field] = node.replace(f"{field}:", "azureml:", 1)
    return spec.model_copy(update=changes)


def elastic(spec: OnlineDeployment) -> dict[str, Any]:
    """The fields of a revision that may change while it runs: counts, limits, probes."""
    scale, settings = spec.scale_settings, spec.request_settings
    collected = collection_order(spec.data_collector)
    grows = isinstance(scale, TargetUtilization)
    least = scale.min_instances if isinstance(scale, TargetUtilization) else spec.instance_count
    return {
        "instance_type": spec.instance_type or "",
        "instances": least,
        "max_instances": scale.max_instances if isinstance(scale, TargetUtilization) else least,
        "target_utilization": scale.target_utilization_percentage
        if grows and isinstance(scale, TargetUtilization)
        else 0,
        "request_timeout_ms": settings.request_timeout_ms,
        "max_concurrent_requests": settings.max_concurrent_requests_per_instance,
        "max_queue_wait_ms": settings.max_queue_wait_ms,
        "liveness": spec.liveness_probe.model_dump(),
        "readiness": spec.readiness_probe.model_dump(),
        "collect": collected.model_dump(mode="json") if collected is not None else None,
    }


def adjusted(kept: Mapping[str, Any], spec: OnlineDeployment) -> dict[str, Any]:
    """A revision as it is kept, with the elastic fields of a changed spec; where its records go stays."""
    made = {**kept, **elastic(spec)}
    if made["collect"] is not None and kept.get("collect"):
        made["collect"]["places"] = kept["collect"].get("places") or {}
    return made


def _flavor(spec: OnlineDeployment, model_type: str, environment: EnvironmentOrder | None) -> Flavor:
    routes = bool(environment and environment.scoring)
    flavor = flavor_of(model_type, spec.code_configuration is not None, spec.command, routes)
    if not flavor:
        raise Refused(
            "BadArgument", "nothing says how to serve this model",
            "Give code_configuration with a scoring script, or register the model as mlflow_model.",
        )  # fmt: skip
    return cast(Flavor, flavor)


def _model(contents: Contents, spec: OnlineDeployment, backend: str) -> tuple[Content | None, str, str]:
    """(content, `model:NAME:VERSION`, type)."""
    if spec.model is None:
        return None, "", ""
    if isinstance(spec.model, Model):
        content = contents.of(spec.model.path, ("model", "data"))
        name, kind = f"model:{spec.model.name or 'anonymous'}:{spec.model.version or '1'}", str(spec.model.type)
    else:
        content = contents.of(spec.model, ("model",))
        name, kind = content.node, content.type or "custom_model"
    if content.tree is None and content.place is None:
        raise Refused(
            "NotSupported", "a model that lies behind a web address cannot be served from there",
            "Register its files: ferry model create --path FOLDER.",
        )  # fmt: skip
    known = LOCAL if backend == "local" else BUCKETS
    if content.place is not None and content.place.kind not in known:
        raise Refused(
            "NotSupported",
            f"the model lies on a datastore of type {content.place.kind}, which the site's gateway does not read",
            f"Put it on one of type {' or '.join(known)}, or register its files.",
        )
    return content, name if name.startswith("model:") else f"model:{spec.name}:1", kind


def _source(model: Content | None, revision: str) -> ModelSource | None:
    if model is None or model.place is None:
        return None
    return ModelSource(place=model.place, key=model.node or f"revision:{revision}")


def _code(contents: Contents, spec: OnlineDeployment) -> Content | None:
    if spec.code_configuration is None:
        return None
    content = contents.of(spec.code_configuration.code, ("code",))
    if content.tree is None or content.tree.kind != "tree":
        raise Refused("NotSupported", "code is taken from an uploaded folder only", "Give a local folder.")
    return content


def _environment(
    deps: Deps, workspace: str, given: EnvironmentOrder | None, flavor: str, model: Content | None
) -> EnvironmentOrder:
    if given is not None:
        return serving_environment(given, flavor)
    if flavor == "triton":
        return environment_order(image=TRITON_IMAGE)
    if model is None:
        raise Refused("MissingField", "the deployment names no environment and no MLflow model to take it from")
    if model.site_only or model.tree is None:
        # only the site can read what the model asks for
        return EnvironmentOrder(key="")
    return mlflow_environment(*_mlflow_files(deps, workspace, model.tree))


def _mlflow_files(deps: Deps, workspace: str, tree: TreeRef) -> tuple[dict[str, str], dict[str, Any] | None]:
    entries = (
        {one.path: one for one in artifacts.manifest(deps, workspace, tree.digest).entries}
        if tree.kind == "tree"
        else {}
    )
    if "MLmodel" not in entries:
        raise Refused(
            "BadArgument", "the model is no MLflow model: its folder has no file MLmodel",
            "Register the folder that holds MLmodel, or give code_configuration and environment.",
        )  # fmt: skip
    files: dict[str, str] = {}
    for name in MLFLOW_FILES:
        if name in entries and entries[name].size <= MAX_MODEL_FILE:
            files[name] = b"".join(artifacts.read(deps, entries[name].digest)).decode("utf-8", "replace")
    if "requirements.txt" in files or "conda.yaml" not in files:
        return files, None
    try:
        conda = YAML(typ="safe", pure=True).load(files["conda.yaml"])
    except YAMLError as error:
        raise Refused("BadYaml", "the model's conda.yaml cannot be read", "Log the model again.") from error
    return files, conda if isinstance(conda, dict) else None


def _edges(
    workspace: str, node: str, model: Content | None, code: Content | None, environment: EnvironmentOrder
) -> tuple[Edge, ...]:
    found: list[Edge] = []
    if model is not None and (model.node or model.tree is not None):
        source = model.node or f"code:{model.tree.digest.removeprefix('sha256:') if model.tree else ''}"
        found.append(Edge(workspace=workspace, source=source, relation="deployed", target=node))
    if code is not None and code.tree is not None:
        source = code.node or f"code:{code.tree.digest.removeprefix('sha256:')}"
        found.append(Edge(workspace=workspace, source=source, relation="code", target=node))
    if environment.name:
        found.append(Edge(workspace=workspace, source=environment.name, relation="environment", target=node))
    return tuple(found)
