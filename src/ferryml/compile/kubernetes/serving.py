"""A revision of an online deployment as objects of a cluster: its plan, a headless Service, and one Deployment."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ferryml.compile.collecting import CONFIG, script_collections, script_variables, settings_file, told_to_the_door
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.images import pull_secrets, user_image
from ferryml.compile.kubernetes.job import node_selector
from ferryml.compile.kubernetes.labels import GROUP, KIND, MANAGED_BY, REVISION, UID, annotations_of, labels_of
from ferryml.compile.kubernetes.mounts import RESERVED
from ferryml.compile.kubernetes.names import revision_name
from ferryml.compile.kubernetes.plan import DOOR_PORT, ENVIRONMENT, FERRY, FOLDER, PLAN, TOKEN, Archive
from ferryml.compile.kubernetes.pods import (
    MAIN,
    ONE_BY_ONE,
    STAGE,
    Owner,
    apart,
    own_container,
    pod_security,
    sidecar,
    tolerations,
    user_security,
    volumes,
)
from ferryml.compile.mlflow_score import SCRIPT
from ferryml.compile.plan import STAGE_PATIENCE_S, Bring, brought
from ferryml.compile.serving import (
    MLFLOW_ENTRY,
    MODELS_FOLDER,
    Places,
    Routes,
    model_path,
    own_port,
    routes,
    server_argv,
    variables,
    with_port,
)
from ferryml.domain.errors import Refused
from ferryml.domain.instance_types import with_resources
from ferryml.domain.orders import RevisionOrder
from ferryml.domain.spec.instance_type import InstanceType

APP = "/var/azureml-app"
"""Where code and models appear to the program."""
KEPT = "azureml-app"
"""The same, below the folder that `stage` fills."""
SCORE = "score"
"""Name of the port that the router sends requests to."""
ORDER = f"{GROUP}/order"
"""Annotation: of which order the Deployment was made, so that nothing else ever makes its pods anew."""
SCORING_PORT = f"{GROUP}/scoring-port"
READINESS = f"{GROUP}/readiness"
"""Annotation of pods: `PORT/path` that they are asked at."""
PATIENCE = f"{GROUP}/patience"
"""Annotation of pods: seconds after which a program that never answered is started anew."""
PRESTOP_S = 5
"""Between a pod being taken out of its Service and its program hearing of its end: routers have heard by then."""
GRACE_SLACK_S = 10
SLEEP_SINCE = (1, 30)
PROGRESS_S = 1200
COLLECT_EVERY_S = 10
"""How long records of a script wait for company."""
_SIMPLE = re.compile(r"[^;&|<>()`\n=]+")

Json = Any


@dataclass(frozen=True, slots=True)
class Served:
    """Everything that a revision's objects are made of."""

    uid: str
    """Of the endpoint."""
    endpoint: str
    namespace: str
    workspace: str
    compute: str
    revision: RevisionOrder
    count: int
    instance_type: InstanceType
    owner: Owner | None = None
    environment: Archive | None = None
    """None: the image as it is."""
    image: str = ""
    """The one that was built for it; empty: as its environment says."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """In the order in which they are to be applied."""

    plan: dict[str, Json]
    service: dict[str, Json]
    budget: dict[str, Json] | None
    """None for a single pod: it may go, for else its node could not be drained."""
    deployment: dict[str, Json]


def make_revision(served: Served, cluster: Cluster) -> Manifests:
    """Raises Refused when the order cannot be carried out in a cluster: BadArgument, BadValue, BadReference, ..."""
    meta = _meta(served)
    return Manifests(
        _config_map(served, cluster, meta), _service(served, meta), _budget(served, meta),
        _deployment(served, cluster, meta),
    )  # fmt: skip


def order_mark(revision: RevisionOrder) -> str:
    """Differs when pods must be made anew; counts and limits that only router and autoscaler follow are no part."""
    free = {"instances", "max_instances", "target_utilization", "max_concurrent_requests", "max_queue_wait_ms",
            "request_timeout_ms", "residency"}  # fmt: skip
    said = revision.model_dump(mode="json", exclude=free)
    # requests and answers are recorded by routers; pods have only to do with what their script records
    own = script_collections(revision)
    if revision.model_source is None:
        del said["model_source"]  # so that revisions of earlier Ferrys stay as they are, as with what is left out below
    else:
        said["model"] = None  # it is put in by the site, and the same for ever
    said["environment"] = {key: at for key, at in said["environment"].items() if at or key not in ("build", "inherit")}
    said["collect"] = None if own is None else {"script": own.script, "rolling": own.rolling}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:20]


def grace_s(revision: RevisionOrder) -> int:
    """How long a pod may take to end: requests under way are answered first."""
    return PRESTOP_S + -(-revision.request_timeout_ms // 1000) + GRACE_SLACK_S


def serving_plan(served: Served, cluster: Cluster) -> dict[str, Json]:
    """The content of job.json: what `stage` brings before the program starts."""
    revision, bring = served.revision, Bring(folders=[KEPT])
    needs: list[str] = []
    if revision.code is not None:
        to = f"{KEPT}/{_code_folder(revision)}"
        bring.tree("code", revision.code, to)
        if revision.flavor == "script":
            needs.append(f"{to}/{revision.scoring_script}")
    if revision.model is not None:
        _, inside = model_path(revision.model, revision.model_name)
        file = "" if revision.model.kind == "tree" or revision.model.name else "model"
        to = posixpath.join(KEPT, inside, file).rstrip("/")
        bring.tree(f"model {revision.model_name.removeprefix('model:')}".strip(), revision.model, to)
    archive = served.environment
    return {
        "kind": "serving", "uid": served.uid, "attempt": 1, "gateway": cluster.gateway_url, "ca": f"{PLAN}/ca.pem",
        "token_file": f"{TOKEN}/token", "door_port": DOOR_PORT, "overlay": "",
        "environment": None if archive is None else {"digest": archive.digest, "size": archive.size},
        **_collects(served),
        "needs": needs, "notes": [], "env": {}, "command": "", "grace_s": 0, "upload_patience_s": STAGE_PATIENCE_S,
        **brought(bring),
    }  # fmt: skip


def _collects(served: Served) -> dict[str, Json]:
    """For the container beside the program, where its script collects."""
    asked = script_collections(served.revision)
    if asked is None:
        return {}
    told = told_to_the_door(served.uid, served.endpoint, served.revision, asked)
    return {"collects": {**told, "every_s": COLLECT_EVERY_S}}


def places(revision: RevisionOrder) -> Places:
    """Where the parts of a revision are in its pod."""
    app = f"{APP}/{_code_folder(revision)}"
    if revision.flavor == "mlflow":
        app = PLAN  # the script that Ferry makes lies beside the plan
    folder, inside = model_path(revision.model, revision.model_name)
    root = _models_root(revision)
    moved = [posixpath.join(root, posixpath.relpath(path, MODELS_FOLDER)) if path else "" for path in (folder, inside)]
    return Places(app, *moved)


def _meta(served: Served) -> dict[str, Json]:
    revision, bound = served.revision, bool(served.revision.residency.zones)
    labels = labels_of("endpoint", served.uid, 1, served.workspace, served.compute, bound)
    return {
        "name": revision_name(served.uid, revision.revision), "namespace": served.namespace,
        "labels": {**labels, REVISION: revision.revision},
        "annotations": annotations_of(served.uid, f"{served.endpoint}/{revision.deployment}"),
        **({"ownerReferences": served.owner.references()} if served.owner else {}),
    }  # fmt: skip


def _config_map(served: Served, cluster: Cluster, meta: Mapping[str, Json]) -> dict[str, Json]:
    more = {MLFLOW_ENTRY: SCRIPT} if served.revision.flavor == "mlflow" else {}
    if (asked := script_collections(served.revision)) is not None:
        more[CONFIG] = settings_file(asked)
    data = {"job.json": json.dumps(serving_plan(served, cluster), sort_keys=True), "ca.pem": cluster.ca, **more}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta), "data": data}


def _service(served: Served, meta: Mapping[str, Json]) -> dict[str, Json]:
    """Headless: its EndpointSlices, which carry its labels, are all that routers look at."""
    port = _routes(served.revision).scoring[0]
    spec = {
        "clusterIP": "None", "selector": _selector(meta),
        "ports": [{"name": SCORE, "port": port, "targetPort": port, "protocol": "TCP"}],
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Service", "metadata": dict(meta), "spec": spec}


def _budget(served: Served, meta: Mapping[str, Json]) -> dict[str, Json] | None:
    """Who drains a node waits until a pod that had to go is ready elsewhere."""
    if served.count < 2:
        return None
    spec = {**ONE_BY_ONE, "selector": {"matchLabels": _selector(meta)}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": dict(meta), "spec": spec}


def _deployment(served: Served, cluster: Cluster, meta: Mapping[str, Json]) -> dict[str, Json]:
    revision = served.revision
    asked = _routes(revision)
    said = {
        SCORING_PORT: str(asked.scoring[0]), READINESS: f"{asked.readiness[0]}{asked.readiness[1]}",
        PATIENCE: str(_patience_s(revision)),
    }  # fmt: skip
    spec = {
        "replicas": served.count, "revisionHistoryLimit": 0, "progressDeadlineSeconds": PROGRESS_S,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": _selector(meta)},
        "template": {
            "metadata": {"labels": meta["labels"], "annotations": {**meta["annotations"], **said}},
            "spec": _pod(served, cluster, meta),
        },
    }  # fmt: skip
    notes = {**meta["annotations"], ORDER: order_mark(revision)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**meta, "annotations": notes}, "spec": spec}


def _pod(served: Served, cluster: Cluster, meta: Mapping[str, Json]) -> dict[str, Json]:
    kind, revision = served.instance_type, served.revision
    tolerated = tolerations(
        cluster, served.workspace, served.compute, kind.spec.tolerations, cluster.serving_node_lost_s
    )
    optional = {
        "nodeSelector": node_selector(kind, cluster), "affinity": apart(kind.spec.affinity, _selector(meta)),
        "runtimeClassName": kind.spec.runtime_class_name,
        "priorityClassName": kind.spec.priority_class_name or cluster.priority_class,
        "schedulerName": cluster.scheduler_name, **pull_secrets(cluster),
    }  # fmt: skip
    return {
        "restartPolicy": "Always",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s(revision),
        "securityContext": pod_security(cluster),
        "tolerations": tolerated,
        "initContainers": [own_container(STAGE, STAGE, cluster, ()), *_sidecars(revision, cluster)],
        "containers": [_main(served, cluster)],
        "volumes": volumes(str(meta["name"]), "", None),
        **{key: value for key, value in optional.items() if value},
    }


def _sidecars(revision: RevisionOrder, cluster: Cluster) -> list[dict[str, Json]]:
    return [sidecar(cluster, ())] if script_collections(revision) is not None else []


def _main(served: Served, cluster: Cluster) -> dict[str, Json]:
    """The user's image; where it serves by itself its own entrypoint, user and working directory stay."""
    revision, asked = served.revision, _routes(served.revision)
    kind = with_resources(served.instance_type, revision.resources)
    port = asked.scoring[0]
    known = variables(revision, places(revision), port)
    if script_collections(revision) is not None:
        known = {**script_variables(f"{PLAN}/{CONFIG}", "127.0.0.1", DOOR_PORT), **known}
    ports = {"name": SCORE, "containerPort": port, "protocol": "TCP"}
    return {
        "name": MAIN,
        "image": served.image or user_image(revision.environment, cluster),
        **_command(revision, port, served.environment is not None),
        "env": [{"name": name, "value": value.replace("$(", "$$(")} for name, value in known.items()],
        "ports": [ports],
        "resources": {"requests": kind.requests, "limits": kind.limits},
        "securityContext": user_security(cluster),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "lifecycle": {"preStop": _pause(cluster)},
        **_probes(revision, asked),
        "volumeMounts": _mounts(revision),
    }


def _command(revision: RevisionOrder, port: int, prepared: bool) -> dict[str, Json]:
    places_ = places(revision)
    if revision.flavor in ("script", "mlflow"):
        argv = server_argv(revision, f"{ENVIRONMENT}/bin/python", port, "0.0.0.0")  # noqa: S104  of its pod alone
        return {"command": ["/bin/sh", "-c", _start(prepared), "ferry", *argv], "workingDir": places_.app_root}
    if revision.flavor == "triton":
        return {"command": ["tritonserver", f"--model-repository={places_.model_file}", f"--http-port={port}"]}
    if not revision.command:
        return {}
    command = with_port(revision.command, port)
    # the program itself hears of its end, where there is only one
    first = command.split()[0] if command.split() else ""
    simple = _SIMPLE.fullmatch(command) and not first.startswith(("exec", "."))
    made = ["/bin/sh", "-c", _start(prepared), "ferry", "/bin/sh", "-c", f"exec {command}" if simple else command]
    return {"command": made, **({"workingDir": places_.app_root} if revision.code is not None else {})}


def _start(prepared: bool) -> str:
    """A shell's first words before it becomes the program: where to find things, and where to write."""
    path = f'PATH="{ENVIRONMENT}/bin:${{PATH:-/usr/local/bin:/usr/bin:/bin}}"; export PATH; ' if prepared else ""
    home = f'{{ [ -n "$HOME" ] && [ -w "$HOME" ]; }} || {{ HOME={FOLDER}/home; export HOME; }}; '
    return f'{path}{home}exec "$@"'


def _pause(cluster: Cluster) -> dict[str, Json]:
    if cluster.kubernetes >= SLEEP_SINCE:
        return {"sleep": {"seconds": PRESTOP_S}}
    return {"exec": {"command": ["/bin/sh", "-c", f"sleep {PRESTOP_S}"]}}


def _probes(revision: RevisionOrder, asked: Routes) -> dict[str, Json]:
    """`initial_delay` is patience and no pause: a program that answers early is ready early, as on local sites.

    So it is asked every second until it answers for the first time, and the two probes begin then.
    """
    ready, live = _times(revision.readiness), _times(revision.liveness)
    first = {
        "httpGet": _get(asked.readiness), "periodSeconds": 1, "timeoutSeconds": ready["timeout"],
        "failureThreshold": _patience_s(revision),
    }  # fmt: skip
    return {
        "startupProbe": first,
        "readinessProbe": _probe(asked.readiness, ready, ready["success_threshold"]),
        # Kubernetes wants one good answer to be enough for a liveness probe
        "livenessProbe": _probe(asked.liveness, live, 1),
    }


def _patience_s(revision: RevisionOrder) -> int:
    both = (_times(revision.readiness), _times(revision.liveness))
    return max(one["initial_delay"] + one["period"] * one["failure_threshold"] for one in both)


def _probe(route: tuple[int, str], times: Mapping[str, int], success: int) -> dict[str, Json]:
    return {
        "httpGet": _get(route), "periodSeconds": times["period"], "timeoutSeconds": times["timeout"],
        "successThreshold": success, "failureThreshold": times["failure_threshold"],
    }  # fmt: skip


def _get(route: tuple[int, str]) -> dict[str, Json]:
    return {"path": route[1], "port": route[0], "scheme": "HTTP"}


def _times(said: Mapping[str, int]) -> dict[str, int]:
    """Azure ML's own times, where nothing is said."""
    usual = {"period": 10, "initial_delay": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}
    return {**usual, **said}


def _mounts(revision: RevisionOrder) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = [
        {"name": "ferry", "mountPath": FERRY},
        {"name": "plan", "mountPath": PLAN, "readOnly": True},
        {"name": "ferry", "mountPath": APP, "subPath": f"job/{KEPT}"},
    ]
    if revision.model_mount_path and revision.model is not None:
        at = _models_root(revision)
        found.append({"name": "ferry", "mountPath": at, "subPath": f"job/{KEPT}/{MODELS_FOLDER}"})
    return found


def _models_root(revision: RevisionOrder) -> str:
    """Raises Refused `BadValue` for a place that belongs to the system or to Ferry."""
    given = revision.model_mount_path
    if not given:
        return f"{APP}/{MODELS_FOLDER}"
    path = posixpath.normpath(given)
    if path == "/" or any(path == taken or path.startswith(taken + "/") for taken in (*RESERVED, APP)):
        raise Refused(
            "BadValue", f"model_mount_path {given!r} is not free for mounting", "Choose a folder such as /models."
        )
    return path


def _routes(revision: RevisionOrder) -> Routes:
    return routes(revision, own_port(revision))


def _code_folder(revision: RevisionOrder) -> str:
    name = revision.code.name if revision.code is not None else ""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
    return plain if plain and plain != MODELS_FOLDER else "code"


def _selector(meta: Mapping[str, Json]) -> dict[str, str]:
    return {key: meta["labels"][key] for key in (MANAGED_BY, KIND, UID, REVISION)}
