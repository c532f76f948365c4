"""The operations that take several calls: wait for an end, follow a log, bring outputs home."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ferryml.domain.errors import NotFound, Refused, Unauthenticated, Unavailable
from ferryml.domain.orders import TreeRef
from ferryml.domain.parse import parse
from ferryml.domain.spec.common import problem
from ferryml.sdk.downloads import download
from ferryml.sdk.flow import Answer, Call, Flow, Json, Pause, ask, get, send
from ferryml.sdk.uploads import Progress, posted, substitute

ENDED = ("Completed", "Failed", "Canceled")
"""Job states that never change again."""
SETTLED = ("Succeeded", "Failed", "Canceled")
"""Provisioning states that an operation ends in."""
STD_LOG = "user_logs/std_log.txt"
LAST_LINES_S = 1.5

ROLLOUT_ENDED = ("promoted", "rolled_back", "failed")
"""Phases of a rollout that never change again."""
PREDICTION_S = 310.0
"""Seconds to wait for a prediction: the longest request_timeout_ms, and some for the way."""

Write = Callable[[bytes], object]
Notice = Callable[[Json], object]


def below(workspace: str, *parts: str) -> str:
    """`/api/v1/workspaces/WS/...`."""
    return "/".join((f"/api/v1/workspaces/{workspace}", *parts))


def create(
    workspace: str, plural: str, spec: Any, progress: Progress | None = None, **query: str | int | float | None
) -> Flow[Json]:
    """Upload what is local, then make the thing. `spec` is a Spec or its JSON data."""
    document = yield from ready(workspace, spec, progress)
    return (yield from send("POST", below(workspace, plural), document, **query))


def ready(workspace: str, spec: Any, progress: Progress | None = None) -> Flow[dict[str, Any]]:
    """The posted form of a spec, with local files uploaded."""
    data = dict(spec) if isinstance(spec, Mapping) else posted(_placed(spec))
    return (yield from substitute(workspace, data, progress))


def _placed(spec: Any) -> Any:
    """A spec made in Python may name files relative to the current folder, as a YAML file does to its own."""

    def locate(written: str) -> str:
        found = os.path.abspath(os.path.expanduser(written))
        if not os.path.exists(found):
            raise problem("FileNotFound", f"{written!r} does not exist in {os.getcwd()}")
        return found

    return parse(type(spec), posted(spec), locate=locate).spec


def wait_job(workspace: str, name: str, notice: Notice | None = None) -> Flow[Json]:
    """Until the job has ended; `notice` hears each change of status or reason."""
    last: object = None
    while True:
        job = yield from get(below(workspace, "jobs", name))
        seen = (job["status"], (job.get("ferry") or {}).get("reason"))
        if seen != last and notice is not None:
            notice(job)
        last = seen
        if job["status"] in ENDED:
            return job
        yield Pause(0.5)


def stream_job(workspace: str, name: str, write: Write, notice: Notice | None = None, log: str = STD_LOG) -> Flow[Json]:
    """Copy the job's log to `write` as it grows; returns the ended job. Attempts follow each other.

    Only the end of a program says that its own log is whole; another one's last lines are waited for a moment.
    """
    offsets: dict[str, int] = {}
    last: object = None
    while True:
        job = yield from get(below(workspace, "jobs", name))
        seen = (job["status"], (job.get("ferry") or {}).get("reason"))
        if seen != last and notice is not None:
            notice(job)
        last = seen
        yield from _copy_logs(workspace, name, log, offsets, write)
        if job["status"] in ENDED:
            if log != STD_LOG:
                yield Pause(LAST_LINES_S)
            yield from _copy_logs(workspace, name, log, offsets, write)
            return job
        current = max(offsets, default=log)
        if not offsets or job["status"] != "Running":
            yield Pause(0.3)
        else:
            yield from _copy_one(workspace, name, current, offsets, write, wait=5.0)


def _copy_logs(workspace: str, name: str, wanted: str, offsets: dict[str, int], write: Write) -> Flow[None]:
    for log in (yield from get(below(workspace, "jobs", name, "logs"))):
        path = log["path"]
        if path.endswith(wanted) and int(log["size"]) > offsets.get(path, 0):
            yield from _copy_one(workspace, name, path, offsets, write)


def _copy_one(
    workspace: str, name: str, path: str, offsets: dict[str, int], write: Write, wait: float = 0
) -> Flow[None]:
    while True:
        query: dict[str, str | int | float] = {"path": path, "offset": offsets.get(path, 0)}
        if wait:
            query["wait"] = wait
        call = Call("GET", below(workspace, "jobs", name, "logs", "content"), query, timeout_s=wait + 30)
        answer = yield from ask(call)
        if not answer.body:
            return
        write(answer.body)
        offsets[path] = offsets.get(path, 0) + len(answer.body)
        if wait:
            return


def download_job(
    workspace: str, name: str, target: Path, output: str | None = None, every: bool = False
) -> Flow[list[Path]]:
    """Bring outputs home: `output`, else `default` (./outputs and ./logs), or all of them below `named-outputs/`.

    Nothing written to ./outputs and ./logs is nothing to bring, as with az.

    Raises NotFound for a named output that the job has not, Refused(ResidencyViolation) for one bound to its site.
    """
    outputs: dict[str, Json] = yield from get(below(workspace, "jobs", name, "outputs"))
    names = sorted(outputs) if every else [output or "default"]
    written: list[Path] = []
    for wanted in names:
        found = outputs.get(wanted)
        if found is None and output is None:
            continue
        if found is None:
            raise NotFound("NotFound", f"job {name} has no output {wanted!r}; it has: {', '.join(outputs) or 'none'}")
        if found.get("bound"):
            if every:
                continue
            raise Refused(
                "ResidencyViolation", f"output {wanted!r} of job {name} is bound to its site and stays there",
                "The data's owner may allow it with `release` on the data asset.",
            )  # fmt: skip
        if not found.get("tree"):
            continue
        place = target / "artifacts" if wanted == "default" else target / "named-outputs" / wanted
        written += yield from download(workspace, TreeRef.model_validate(found["tree"]), place)
    return written


@dataclass(frozen=True, slots=True)
class Prediction:
    """An endpoint's answer.

    Args:
        value: the body as JSON, or as text where it is none.
        request_id: for feedback and trace; empty when the endpoint gave none.
        deployment: who answered.
        compute: where, of an endpoint on several computes.
    """

    value: Json
    request_id: str
    deployment: str
    compute: str = ""


def invoke(
    workspace: str, endpoint: str, body: bytes, deployment: str | None = None, kept: dict[str, str] | None = None,
    compute: str | None = None,
) -> Flow[Prediction]:  # fmt: skip
    """Ask an endpoint at its scoring address, with a key of its own or a token.

    Args:
        kept: `WORKSPACE/ENDPOINT` -> what opened it last time; brought up to date here.
        compute: of several; none: the first that can be reached.

    Raises Refused(NoValidDeployment, EndpointNotFound), Unavailable(QueueWaitExceeded, ModelTimeout, ...).
    """
    here = below(workspace, "online-endpoints", quote(endpoint, safe=""))
    place = yield from get(f"{here}/scoring", compute=compute)
    address = place.get("scoring_uri")
    if not address:
        raise Unavailable("ResourceNotReady", f"endpoint {endpoint} has no scoring address yet", "Look with show.")
    named = {"azureml-model-deployment": deployment} if deployment else {}
    # where keys are separate, those of one compute open no other
    where = str(place["compute"]) if place.get("keys") == "separate" else ""
    kept, mine = {} if kept is None else kept, f"{workspace}/{endpoint}" + (f"@{where}" if where else "")
    answer: Answer | None = None
    if mine in kept:
        try:
            answer = yield from _ask_model(str(address), body, kept[mine], named)
        except Unauthenticated:
            # a token that expired, or a key that was made anew
            del kept[mine]
    if answer is None:
        found = yield from get(f"{here}/credentials", compute=where or None)
        kept[mine] = str(found.get("primaryKey") or found.get("accessToken"))
        answer = yield from _ask_model(str(address), body, kept[mine], named)
    try:
        value = answer.json()
    except ValueError:
        value = answer.body.decode("utf-8", "replace")
    told = answer.headers
    asked = str(place.get("compute") or "")
    return Prediction(value, told.get("x-request-id", ""), told.get("azureml-model-deployment", ""), asked)


def _ask_model(address: str, body: bytes, opens: str, named: Mapping[str, str]) -> Flow[Answer]:
    headers = {"Authorization": f"Bearer {opens}", "Content-Type": "application/json", **named}
    return ask(Call("POST", address, body=body, headers=headers, repeatable=False, timeout_s=PREDICTION_S))


def wait_rollout(workspace: str, name: str, notice: Notice | None = None) -> Flow[Json]:
    """Until a rollout has ended, in one way or another."""
    last: object = None
    while True:
        rollout = yield from get(below(workspace, "rollouts", quote(name, safe="")))
        seen = (rollout["status"], (rollout.get("ferry") or {}).get("reason"))
        if seen != last and notice is not None:
            notice(rollout)
        last = seen
        if rollout["status"] in ROLLOUT_ENDED:
            return rollout
        yield Pause(0.5)


def print_log(workspace: str, name: str, path: str, write: Write) -> Flow[None]:
    """One log file of a job, as far as it goes."""
    yield from _copy_one(workspace, name, path, {}, write)


def settle(path: str, notice: Notice | None = None, limit_s: float = 1500.0) -> Flow[Json]:
    """Until an endpoint or deployment is Succeeded, Failed or Canceled, or waits for nothing but offline sites.

    Raises Unavailable(ResourceNotReady) after `limit_s` seconds; the operation itself goes on.
    """
    waited, last = 0.0, ""
    while True:
        thing = yield from get(path)
        state = thing["provisioning_state"]
        if state != last and notice is not None:
            notice(thing)
        last = state
        if state in SETTLED or _only_waits(thing):
            return thing
        if waited >= limit_s:
            raise Unavailable("ResourceNotReady", f"still {state} after {limit_s:g} s", "Look again with show.")
        yield Pause(0.5)
        waited += 0.5


def _only_waits(thing: Json) -> bool:
    """Whether all that is left is for sites that are offline: of things on several computes."""
    return bool((thing.get("ferry") or {}).get("waiting_for"))


def gone(path: str, limit_s: float = 600.0) -> Flow[Json]:
    """Until the thing is deleted: None; or what is left of it, when that is on sites that are offline."""
    waited = 0.0
    while True:
        try:
            thing = yield from get(path)
        except NotFound:
            return None
        if _only_waits(thing):
            return thing
        if waited >= limit_s:
            raise Unavailable("OperationInProgress", f"still deleting after {limit_s:g} s", "Look again with show.")
        yield Pause(0.5)
        waited += 0.5
