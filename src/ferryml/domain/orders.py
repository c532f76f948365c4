"""Orders: specs with every reference resolved to digests, so that a site needs nothing but its gateway."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Json = Any
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


ALWAYS = "said always"
"""Marks a field whose default differs from version to version, so that leaving it out would say something else."""


class Wire(BaseModel):
    """Base of everything on the link: frozen and strict, so that an old agent says so instead of losing a field.

    Defaults are left out on the way (`domain.sparse`): a default never changes, and a new field has one that means
    what was done before there was the field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class TreeRef(Wire):
    """A file or folder by content. `digest` names a blob: the file itself, or a tree manifest (see `Tree`)."""

    digest: Digest
    kind: Literal["file", "tree"] = "tree"
    name: str = ""
    """File name for `kind=file`; top folder name for models; empty when it does not matter."""
    size: int = 0
    """Bytes, all files together."""


class TreeEntry(Wire):
    """One file of a tree. `path` is relative, POSIX, without `..`."""

    path: str
    digest: Digest
    size: int
    executable: bool = False


class Tree(Wire):
    """The manifest of a folder; its canonical JSON (sorted by path, no spaces) is itself a blob."""

    entries: tuple[TreeEntry, ...] = ()


class DatastorePath(Wire):
    """A place on a datastore that the site reads directly: nothing of it passes through the server."""

    datastore: str
    kind: str
    """Datastore type: local, nfs, kubernetes_pvc, s3, ..."""
    root: str = ""
    """local: absolute folder on the site's machine; nfs: server:/export; s3: bucket URL."""
    path: str = ""
    options: dict[str, str] = {}


class InputOrder(Wire):
    """One input of a job: exactly one of `literal`, `tree`, `place`, `uri` is given."""

    type: str
    """uri_file, uri_folder, mltable, mlflow_model, custom_model, triton_model, string, number, integer, boolean."""
    mode: Literal["download", "ro_mount", "direct", "eval_mount", "eval_download"] = "ro_mount"
    literal: str | None = None
    """Rendered literal (bool as True/False)."""
    tree: TreeRef | None = None
    place: DatastorePath | None = None
    uri: str | None = None
    asset: str = ""
    """`data:NAME:VERSION` or `model:NAME:VERSION` for lineage and messages; empty for anonymous content."""
    zones: tuple[str, ...] = ()
    site_only: bool = False
    """The content is in the site store of this site only (an earlier bound output); the server has no bytes."""


class OutputOrder(Wire):
    """One output of a job."""

    type: str = "uri_folder"
    mode: Literal["upload", "rw_mount", "direct"] = "rw_mount"
    place: DatastorePath | None = None
    """Where the user wants it; None = Ferry's store."""
    asset_name: str = ""
    asset_version: str = ""


class BuildOrder(Wire):
    """An image that its site is to build."""

    context: TreeRef
    """The folder that is sent to the builder."""
    dockerfile: str = "Dockerfile"
    """Path inside the folder."""


class EnvironmentOrder(Wire):
    """What a Python environment is made of; made once per site and `key`."""

    key: str
    """Hash of what decides which files are installed (not name, not routes); equal keys are the same environment."""
    name: str = ""
    """`environment:NAME:VERSION` when it is an asset (its lock is stored there)."""
    image: str = ""
    python: str = ""
    """Wanted version such as `3.11`; empty = the site's."""
    pip: tuple[str, ...] = ()
    """pip requirement lines, conda packages already split off."""
    conda: tuple[str, ...] = ()
    """conda dependency lines other than python and pip; the site maps them to PyPI names through the table."""
    channels: tuple[str, ...] = ()
    lock: str = ""
    """Lock text of an earlier preparation (pinned requirement lines); sites install exactly that."""
    liveness: str = ""
    readiness: str = ""
    scoring: str = ""
    """Routes of inference_config as `PORT/path`."""
    port: int = 0
    build: BuildOrder | None = None
    """Instead of `image`: built once per site and content, before anything is put on top of it."""
    inherit: bool = False
    """What the image's own Python has stays importable beside what is installed on top."""


class Residency(Wire):
    """What the outputs of this work inherit. Empty zones = unbound."""

    zones: tuple[str, ...] = ()
    release: tuple[str, ...] = ("models", "metrics", "params", "logs", "artifacts")
    """Kinds that may leave the zones."""


class JobOrder(Wire):
    """A command job, resolved."""

    kind: Literal["Job"] = "Job"
    workspace: str
    name: str
    compute: str
    namespace: str = "default"
    command: str
    """With `${{...}}` still inside: the site knows the paths."""
    code: TreeRef | None = None
    environment: EnvironmentOrder
    environment_variables: dict[str, str] = {}
    inputs: dict[str, InputOrder] = {}
    outputs: dict[str, OutputOrder] = {}
    timeout_s: int | None = None
    """Running time; None = no limit."""
    instance_type: str = ""
    instance_count: int = 1
    shm_size: str = "2g"
    distribution: dict[str, Json] = {}
    max_attempts: int = 3
    mlflow_run_id: str = ""
    mlflow_experiment: str = ""
    residency: Residency = Residency()
    cancel: bool = False
    """Desired state: True asks for the end of it."""
    prepare_only: bool = False
    """It is over once its environment is there: nothing is started."""
    labels: dict[str, str] = {}


class CollectionOrder(Wire):
    """Which requests and answers are recorded, and what its script may record."""

    sampling_rate: float = 1.0
    """Share of the answered requests, 0 to 1."""
    rolling: Literal["minute", "hour", "day", "month", "year"] = "hour"
    collections: tuple[Literal["request", "response"], ...] = ()
    headers: tuple[str, ...] = ()
    """Names, in small letters, of request headers that are recorded beside the harmless ones."""
    script: dict[str, float] = {}
    """Collections that the scoring script makes, by name: the share of its records that are kept, 0 to 1."""
    places: dict[str, DatastorePath] = {}
    """Where the records of a collection go, of those that do not go to Ferry's own store."""


class ModelSource(Wire):
    """A model that lies on a datastore; the site that fetches it first fixes its digest there."""

    place: DatastorePath
    key: str
    """What its digest is kept under: the asset's node, or the revision for one that is no asset."""


class RevisionOrder(Wire):
    """One immutable revision of a deployment."""

    revision: str
    """10 characters of a-z0-9, unique on the server; first part of every request id it answers."""
    deployment: str
    flavor: Literal["script", "mlflow", "custom", "triton"]
    model: TreeRef | None = None
    model_name: str = ""
    """`model:NAME:VERSION`."""
    model_source: ModelSource | None = None
    """Instead of `model`, which a site then puts in by itself."""
    model_mount_path: str = ""
    code: TreeRef | None = None
    scoring_script: str = ""
    environment: EnvironmentOrder
    environment_variables: dict[str, str] = {}
    command: str = ""
    """custom: how to start it (local backend); the image's entrypoint on Kubernetes."""
    instance_type: str = ""
    instances: int = 1
    max_instances: int = 1
    target_utilization: int = 0
    """Percent; 0 = fixed count."""
    resources: dict[str, dict[str, str]] = {}
    request_timeout_ms: int = 5000
    max_concurrent_requests: int = 1
    """Per instance."""
    max_queue_wait_ms: int = 500
    liveness: dict[str, int] = {}
    readiness: dict[str, int] = {}
    """period, initial_delay, timeout, success_threshold, failure_threshold (seconds, counts)."""
    site_only: bool = False
    residency: Residency = Residency()
    collect: CollectionOrder | None = None
    """None: nothing is recorded."""


class RolloutStep(Wire):
    percent: int
    min_requests: int = 0
    min_duration_s: float = 0
    timeout_s: float = 3600
    on_timeout: Literal["hold", "rollback", "proceed"] = "hold"


class RolloutOrder(Wire):
    """Everything a site needs to carry a rollout through by itself, link or no link."""

    rollout: str
    deployment: str
    champion: str | None = None
    """Revision that serves now; None = first deployment."""
    candidate: str
    mirror_percent: int = 0
    mirror_min_requests: int = 0
    mirror_timeout_s: float = 3600
    steps: tuple[RolloutStep, ...] = ()
    max_error_rate: float | None = None
    """Fraction of the candidate's answered requests that may be 5xx."""
    max_p99_ratio: float | None = None
    """Candidate's p99 latency over the champion's at the same time."""
    max_p99_ms: float | None = None
    """Candidate's p99 latency in milliseconds; None = not looked at."""
    max_mismatch_rate: float | None = None
    min_sample: int = 20
    """Requests below which a rate or latency says nothing."""
    ready_timeout_s: float = 1200
    keep_previous_s: float = 86400
    command: Literal["run", "pause", "promote", "rollback"] = "run"
    """Desired by people: run on, hold where it is, skip the rest, or undo."""


class EndpointOrder(Wire):
    """An endpoint with everything behind it: one wish, so that a site never sees half of a change."""

    kind: Literal["Endpoint"] = "Endpoint"
    workspace: str
    name: str
    compute: str
    namespace: str = "default"
    auth_mode: Literal["key", "aml_token"] = "key"
    key_hashes: tuple[str, ...] = ()
    """sha256 hex of primary and secondary key."""
    token_public_key: str = ""
    """PEM (P-256) of who signs tokens; two, one after the other, while one replaces the other."""
    traffic: dict[str, int] = {}
    """deployment -> percent."""
    mirror_traffic: dict[str, int] = {}
    serving: dict[str, str] = {}
    """deployment -> revision that serves it now (the rollout moves between two revisions of one deployment)."""
    revisions: tuple[RevisionOrder, ...] = ()
    rollout: RolloutOrder | None = None
    labels: dict[str, str] = {}


class FeedbackOrder(Wire):
    """Labels for request ids; the site joins them with its captured predictions."""

    kind: Literal["Feedback"] = "Feedback"
    workspace: str
    endpoint: str
    labels: tuple[tuple[str, str], ...]
    """(request id, true label as JSON text)."""


class SettingsOrder(Wire):
    """Settings of the site that the server hands down."""

    kind: Literal["Settings"] = "Settings"
    settings: dict[str, Json] = {}


Order = Annotated[JobOrder | EndpointOrder | FeedbackOrder | SettingsOrder, Field(discriminator="kind")]
