"""What it takes to serve a revision: packages, program, variables and routes, for every kind of site."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferryml.compile.environment import environment_order, requirement_name, with_packages
from ferryml.domain.orders import EndpointOrder, EnvironmentOrder, RevisionOrder, TreeRef
from ferryml.domain.routes import EndpointRoute, RevisionRoute, Upstream
from ferryml.domain.seen import InstanceSeen
from ferryml.domain.serving import Plan

SERVER = "azureml-inference-server-http>=1.3,<2"
MODELS_FOLDER = "azureml-models"
MLFLOW_ENTRY = "ferry_mlflow_score.py"
MLFLOW_FILES = ("MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml")
"""Of an mlflow_model, what decides its environment."""

PORT = 5001
"""Where scoring programs listen on clusters, if they do not say otherwise."""
TRITON_PORT = 8000

_MINOR = re.compile(r"(\d+\.\d+)(?:\.\d+)?")
_HERE = "127.0.0.1"
_LONGEST_S = 300
"""A request may take so long; gunicorn would cut it off 30 s after it is told to end."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a revision are on the machine or in the pod; empty when there is no such part."""

    app_root: str
    model_dir: str = ""
    model_file: str = ""
    """The model's single file, or its folder below model_dir."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Ports and paths of a revision's program."""

    liveness: tuple[int, str]
    readiness: tuple[int, str]
    scoring: tuple[int, str]


def serving_environment(order: EnvironmentOrder, flavor: str) -> EnvironmentOrder:
    """The environment with the inference server in it, where the revision is served by one."""
    if flavor not in ("script", "mlflow"):
        return order
    # a lock that was made without the server does not hold for what is installed here
    return with_packages(order.model_copy(update={"lock": ""}), (SERVER,))


def mlflow_environment(files: Mapping[str, str], conda: Mapping[str, Any] | None) -> EnvironmentOrder:
    """The environment that an MLflow model asks for.

    Args:
        files: text by name, of MLFLOW_FILES; absent ones are left out.
        conda: content of conda.yaml, parsed; None when it has none.
    """
    requirements = [line for line in files.get("requirements.txt", "").splitlines() if line.strip()]
    python = _python(files.get("python_env.yaml", ""), files.get("MLmodel", ""))
    if requirements:
        spec: dict[str, Any] = {"dependencies": [f"python={python}"] if python else []}
        order = environment_order(conda_file=spec, pip_requirements=requirements)
    else:
        order = environment_order(conda_file=_minor_python(conda or {}))
    if not any(requirement_name(line).startswith("mlflow") for line in order.pip):
        order = with_packages(order, ("mlflow",))
    return serving_environment(order, "mlflow")


def model_path(model: TreeRef | None, model_name: str) -> tuple[str, str]:
    """(folder of AZUREML_MODEL_DIR, the model inside it), relative.

    A folder keeps its own name below the directory, a single file lies directly in it.
    """
    if model is None:
        return "", ""
    _, _, rest = model_name.partition(":")
    name, _, version = rest.partition(":")
    folder = "/".join((MODELS_FOLDER, _plain(name) or "model", _plain(version) or "1"))
    return folder, f"{folder}/{_plain(model.name)}" if model.name else folder


def variables(revision: RevisionOrder, places: Places, port: int) -> dict[str, str]:
    """Environment variables of the program; the user's own come last, and win."""
    made = {
        "AML_APP_ROOT": places.app_root,
        "AZUREML_MODEL_DIR": places.model_dir,
        "MODEL_FILE_PATH": places.model_file,
        "AZUREML_ENTRY_SCRIPT": entry_script(revision),
        "AZUREML_DEPLOYMENT_NAME": revision.deployment,
        "FERRY_REVISION": revision.revision,
        "PORT": str(port),
        "WORKER_COUNT": "1",
        "PYTHONUNBUFFERED": "1",
        "GUNICORN_CMD_ARGS": f"--graceful-timeout {_LONGEST_S}" if revision.flavor in ("script", "mlflow") else "",
    }
    return {key: value for key, value in made.items() if value} | dict(revision.environment_variables)


def entry_script(revision: RevisionOrder) -> str:
    """File below AML_APP_ROOT with init() and run(); empty for programs of the user's own."""
    if revision.flavor in ("script", "custom"):
        return revision.scoring_script
    return MLFLOW_ENTRY if revision.flavor == "mlflow" else ""


def argv(revision: RevisionOrder, python: str, port: int) -> list[str]:
    """How a local site starts the program."""
    if revision.flavor == "custom":
        return ["/bin/bash", "-c", with_port(revision.command, port)]
    # on loopback only: the router is the one door
    return server_argv(revision, python, port, _HERE)


def server_argv(revision: RevisionOrder, python: str, port: int, host: str) -> list[str]:
    """The same program as `azmlinfsrv`, which has no option for the address that it listens on."""
    start = f"import azureml_inference_server_http.amlserver as s; s.DEFAULT_HOST = {host!r}; s.run()"
    return [python, "-c", start, "--entry_script", entry_script(revision), "--port", str(port)]


def with_port(command: str, port: int) -> str:
    return command.replace("${{port}}", str(port))


def own_port(revision: RevisionOrder) -> int:
    """Where the program of a revision listens in a pod, which it has for itself."""
    if revision.flavor == "triton":
        return TRITON_PORT
    declared = _route(revision.environment.scoring) if revision.flavor == "custom" else None
    return declared[0] if declared else PORT


def routes(revision: RevisionOrder, port: int) -> Routes:
    """Where the program answers when it was given `port`."""
    if revision.flavor == "triton":
        return Routes((port, "/v2/health/live"), (port, "/v2/health/ready"), (port, "/"))
    if revision.flavor != "custom":
        return Routes((port, "/"), (port, "/"), (port, "/score"))
    environment = revision.environment
    scoring = _route(environment.scoring) or (port, "/score")
    free = takes_any_port(revision)
    probes = [_route(text) or scoring for text in (environment.liveness, environment.readiness)]
    # a program that is told its port answers everything there that was declared for the scoring port
    moved = [(port, path) if free and given == scoring[0] else (given, path) for given, path in (*probes, scoring)]
    return Routes(*moved)


def endpoint_route(uid: str, order: EndpointOrder, plan: Plan) -> EndpointRoute:
    """What the router is told after a turn."""
    return EndpointRoute(
        uid=uid, name=order.name, namespace=order.namespace, auth_mode=order.auth_mode, key_hashes=order.key_hashes,
        token_keys=tuple(_PEM.findall(order.token_public_key)),
        weights=plan.weights, direct=plan.direct, mirror=plan.mirror,
        revisions=tuple(_revision_route(one, plan.upstreams.get(one.revision, ())) for one in plan.running),
    )  # fmt: skip


def takes_any_port(revision: RevisionOrder) -> bool:
    """Whether the program listens where it is told to; otherwise only one instance fits on a machine."""
    return revision.flavor != "custom" or "${{port}}" in revision.command or bool(_PORT.search(revision.command))


def flavor_of(model_type: str, has_code: bool, command: str, has_routes: bool) -> str:
    """script, mlflow, custom or triton; empty when nothing says how to serve."""
    if command or has_routes:
        return "custom"
    if model_type == "triton_model":
        return "triton"
    if has_code:
        return "script"
    return "mlflow" if model_type == "mlflow_model" else ""


def _recorded(revision: RevisionOrder) -> dict[str, Any]:
    """Nothing, where nothing is collected: routes without it are as they always were."""
    asked = revision.collect
    if asked is None or not asked.collections:
        return {}
    return {
        "collect": asked.sampling_rate, "collections": asked.collections, "collect_headers": asked.headers,
        "rolling": asked.rolling, "model": revision.model_name,
    }  # fmt: skip


def _revision_route(revision: RevisionOrder, instances: Sequence[InstanceSeen]) -> RevisionRoute:
    return RevisionRoute(
        revision=revision.revision, deployment=revision.deployment, scoring_path=routes(revision, 1).scoring[1],
        upstreams=tuple(Upstream(instance=one.instance, port=one.port) for one in instances if one.port),
        request_timeout_ms=revision.request_timeout_ms, max_concurrent_requests=revision.max_concurrent_requests,
        max_queue_wait_ms=revision.max_queue_wait_ms, **_recorded(revision),
    )  # fmt: skip


_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----")
_PORT = re.compile(r"\$(?:PORT\b|\{PORT\b)")


def _route(text: str) -> tuple[int, str] | None:
    port, slash, path = text.partition("/")
    return (int(port), slash + path) if port.isdigit() else None


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")


def _python(python_env: str, mlmodel: str) -> str:
    for pattern, text in (
        (r"^python:\s*[\"']?(\d+\.\d+)", python_env),
        (r"python_version:\s*[\"']?(\d+\.\d+)", mlmodel),
    ):
        if found := re.search(pattern, text, re.MULTILINE):
            return found[1]
    return ""


def _minor_python(conda: Mapping[str, Any]) -> dict[str, Any]:
    """The patch version of the machine that logged the model is no wish of its author."""
    entries = conda.get("dependencies")
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return dict(conda)
    return {**conda, "dependencies": [_loose(entry) for entry in entries]}


def _loose(entry: Any) -> Any:
    if isinstance(entry, str) and (found := re.fullmatch(r"python\s*={1,2}\s*(\S+)", entry)):
        minor = _MINOR.match(found[1])
        return f"python={minor[1]}" if minor else entry
    return entry
