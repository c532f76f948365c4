"""`--local`: endpoints on this machine alone, answered by a private `ferry up` that starts and ends by itself."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferryml.cli.kit import Shared
from ferryml.cli.local import LocalState, home
from ferryml.domain.errors import Conflict, FerryError, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from ferryml.sdk.client import Client

AGAIN_S = 60.0
"""Longest wait for deployments of an earlier life to be started again."""
HELP = (
    "On this machine alone, without workspace or site: a private server in ~/.ferry/local (or FERRY_LOCAL_DIR), "
    "started by the first create and ended by the last delete or `ferry down --local`."
)
Local = Annotated[bool, typer.Option("--local", help=HELP)]
OURS = ("FERRY_SERVER_", "FERRY_ROUTER_", "FERRY_SETTINGS", "FERRY_STATE_DIR")
"""Settings of real servers and routers in the environment, which the private one must not take for its own."""
PRIVATE = {
    "FERRY_SITE_ROUTER_HOST": "127.0.0.1", "FERRY_SITE_ROUTER_PORT": "0", "FERRY_SITE_GATEWAY_HOST": "127.0.0.1",
    "FERRY_SITE_GATEWAY_PORT": "0", "FERRY_SITE_ZONE": "", "FERRY_ROUTER_KEYLESS": "true",
}  # fmt: skip


def enter(shared: Shared, local: bool, starts: bool = False) -> None:
    """With `local`, let the command speak to the private server instead; does nothing without.

    Args:
        starts: whether it is started where there is none yet; else there is nothing to speak of.

    Raises NotFound when nothing was made with --local; Refused(MissingExtra), Unavailable when it cannot start.
    """
    if not local:
        return
    state = home(os.environ)
    if not starts and not state.url:
        raise _nothing()
    shared.ends.enter_context(_used(state))
    if not starts and not state.url:  # ended while this command waited
        raise _nothing()
    again = bool(state.url)
    with _alone(state):
        begun = _begin(shared, state)
        shared.use(_client(shared, state))
        if begun and again:
            with shared.talk.busy("waiting for what served before"):
                _answering(shared)


def leave(shared: Shared, local: bool) -> None:
    """After a deletion: end the private server if no endpoint is left and no other command uses it."""
    if not local or shared.client.online_endpoints.list(1):
        return
    shared.ends.close()
    state = home(os.environ)
    with _alone(state), (state.folder / "use.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        from ferryml.cli.down import end

        end(state, shared.talk)
        (state.folder / "url").unlink(missing_ok=True)


def listed(shared: Shared, local: bool, look: Callable[[], Any]) -> Any:
    """What `look` finds; nothing, and no server started for it, when nothing was made with --local."""
    if local and not home(os.environ).url:
        return []
    enter(shared, local)
    return look()


def endpoint(spec: Any) -> Any:
    """The endpoint as this machine can have it: here, and without shares of traffic."""
    _no_shares(spec.traffic, spec.mirror_traffic)
    return spec.model_copy(update={"compute": None, "auth_mode": "key", "identity": None})


def deployment(spec: Any) -> Any:
    """The deployment as this machine can have it: local files, one instance, records in no place of a workspace.

    Raises Refused(NotSupported) where it names what only a workspace has.
    """
    from ferryml.domain.aliases import is_curated
    from ferryml.domain.spec.values import is_uri

    model, code = spec.model, spec.code_configuration
    if isinstance(model, str):
        raise _elsewhere(f"model {model}", "`ferry model download`")
    for what, place in (("model.path", model and model.path), ("code_configuration.code", code and code.code)):
        if place and is_uri(place):
            raise _elsewhere(f"{what} {place}", "a download of it")
    if isinstance(spec.environment, str) and not is_curated(spec.environment):
        raise Refused(
            "NotSupported", f"environment {spec.environment} is in a workspace, and --local has none",
            "Write the environment inline, or name a file.",
        )  # fmt: skip
    alone = {"instance_count": 1, "scale_settings": None, "instance_type": None}
    if spec.data_collector is not None:  # a script that collects must find its collections
        kept = {name: one.model_copy(update={"data": None}) for name, one in spec.data_collector.collections.items()}
        alone["data_collector"] = spec.data_collector.model_copy(update={"collections": kept})
    return spec.model_copy(update=alone)


def make(shared: Shared, spec: Any) -> Any:
    """The endpoint, made or, as az does with --local, brought up to date."""
    endpoints = shared.client.online_endpoints
    try:
        return endpoints.create(spec)
    except Conflict as there:
        if there.code != "AlreadyExists":
            raise
        fields = {"description": spec.description, "tags": dict(spec.tags)}
        return endpoints.update(spec.name, fields)


def alone(shared: Shared, endpoint_name: str, name: str) -> bool:
    """Whether the endpoint has this deployment already. Raises NotFound, Refused(NotSupported) if it has another."""
    present = [one["name"] for one in shared.client.online_deployments.list(endpoint_name)]
    others = [one for one in present if one != name]
    if others:
        raise Refused(
            "NotSupported", f"local endpoint {endpoint_name} has deployment {others[0]}; it can have one at a time",
            f"Delete it first: ferry online-deployment delete --local -y -e {endpoint_name} -n {others[0]}",
        )  # fmt: skip
    return name in present


def point(shared: Shared, endpoint_name: str, traffic: dict[str, int]) -> None:
    """Give all requests to the one deployment, or to none: local endpoints have no shares."""
    endpoints = shared.client.online_endpoints
    if (endpoints.get(endpoint_name).get("traffic") or {}) != traffic:
        endpoints.update(endpoint_name, {"traffic": traffic})
        endpoints.wait(endpoint_name)


def no_shares(local: bool, *given: str | None) -> None:
    """--traffic and --mirror-traffic mean nothing with --local. Raises Refused(NotSupported)."""
    if local:
        _no_shares(*given)


def no_debugger(wanted: bool) -> None:
    """--vscode-debug opens VS Code in the container that az made. Raises Refused(NotSupported) with another way."""
    if wanted:
        raise Refused(
            "NotSupported", "--vscode-debug opens VS Code in a Docker container, and Ferry runs score.py without one",
            "Add debugpy to the environment, write `import debugpy; debugpy.listen(5678); debugpy.wait_for_client()` "
            "into init(), and attach to 127.0.0.1:5678.",
        )  # fmt: skip


def _begin(shared: Shared, state: LocalState) -> bool:
    """Whether this command started it."""
    from ferryml.cli.programs import check_extras
    from ferryml.cli.up import begin, expect

    if state.running() is not None:
        expect(state)
        return False
    check_extras()
    environ = {key: text for key, text in os.environ.items() if not key.startswith(OURS)}
    with shared.talk.busy("starting the private server"):
        begin(state, ("--port", "0"), environ | PRIVATE)
    shared.talk.note(f"A private Ferry runs in {state.folder}; `ferry down --local` stops it.")
    return True


def _client(shared: Shared, state: LocalState) -> Client:
    from ferryml.sdk.client import Client
    from ferryml.sdk.sending import Target

    return Client(
        target=Target(state.url, state.token), workspace="default", progress=shared.talk.bytes, trace=shared.trace
    )  # fmt: skip


def _answering(shared: Shared) -> None:
    """Once each deployment that served before the server ended has a program again, or after AGAIN_S at most."""
    deadline = time.monotonic() + AGAIN_S
    for one in shared.client.online_endpoints.list():
        while sum((one["traffic"] or {}).values()) and not _has_program(shared, one["openapi_uri"]):
            if time.monotonic() > deadline:
                shared.talk.warn(f"endpoint {one['name']} does not answer yet; see get-logs of its deployment")
                return
            time.sleep(0.2)


def _has_program(shared: Shared, address: str) -> bool:
    """Whether somebody behind the address answers, be it with an error; our token is none of their business."""
    from ferryml.sdk.flow import Call, ask

    try:
        shared.client.run(ask(Call("GET", address, headers={"Authorization": "Bearer none"}, repeatable=False)))
    except Unavailable:
        return False
    except FerryError:
        return True
    return True


@contextmanager
def _used(state: LocalState) -> Iterator[None]:
    """While a command speaks to it, no other may end it."""
    state.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state.folder / "use.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def _alone(state: LocalState) -> Iterator[None]:
    """One command at a time starts or ends it."""
    with (state.folder / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _no_shares(*given: Any) -> None:
    if any(given):
        raise Refused(
            "NotSupported", "a local endpoint has one deployment, which gets every request",
            "Leave traffic and mirror_traffic out.",
        )  # fmt: skip


def _nothing() -> NotFound:
    return NotFound("NotFound", "there are no local endpoints", "Make one: `ferry online-endpoint create --local`.")


def _elsewhere(what: str, way: str) -> Refused:
    return Refused("NotSupported", f"--local takes files of this machine, not {what}", f"Name a local path: {way}.")
