"""What `ferry` can do, without importing any of it: `ferry --help` must answer before a spec is loaded."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One word after `ferry`.

    Args:
        module: below `ferryml.cli`; its `app` is the word's Typer.
        group: heading in the help.
    """

    word: str
    module: str
    group: str
    help: str


_PROGRAMS, _WORK, _ASSETS, _SERVE = "Programs", "Work", "Assets", "Inference"
_PLACES, _SEE, _WHO = "Places", "Look closer", "Who and where"

ENTRIES: tuple[Entry, ...] = (
    Entry("up", "up", _PROGRAMS, "Start a server and one local site on this machine."),
    Entry("down", "down", _PROGRAMS, "Stop what `ferry up` started."),
    Entry("status", "status", _PROGRAMS, "Say what runs here, and whether it is well."),
    Entry("demo", "demo_command", _PROGRAMS, "Watch the closed loop on two sites of this machine."),
    Entry("server", "server", _PROGRAMS, "Run the control plane."),
    Entry("agent", "agent", _PROGRAMS, "Join this machine or cluster to a server as a site."),
    Entry("gateway", "gateway", _PROGRAMS, "Run the door for bytes of a cluster."),
    Entry("router", "router", _PROGRAMS, "Run what stands beside HAProxy in a cluster."),
    Entry("admin", "admin", _PROGRAMS, "Back up and restore a server."),
    Entry("job", "jobs", _WORK, "Train, and look at what trains."),
    Entry("automation", "automations", _WORK, "Retrain, prove and roll out by itself."),
    Entry("webhook", "webhooks", _WORK, "Who hears what became of an automation."),
    Entry("apply", "apply", _WORK, "Make what files describe, showing the difference first."),
    Entry("data", "data", _ASSETS, "Data assets."),
    Entry("model", "models", _ASSETS, "Models."),
    Entry("environment", "environments", _ASSETS, "Environments."),
    Entry("datastore", "datastores", _ASSETS, "Places where data lies."),
    Entry("online-endpoint", "endpoints", _SERVE, "Addresses that answer predictions."),
    Entry("online-deployment", "deployments", _SERVE, "Models behind an endpoint."),
    Entry("rollout", "rollouts", _SERVE, "Bring a new revision into service, step by step."),
    Entry("workspace", "workspaces", _PLACES, "Workspaces."),
    Entry("compute", "computes", _PLACES, "Sites attached to a workspace."),
    Entry("instance-type", "instance_types", _PLACES, "What a pod asks for, and where it fits."),
    Entry("site", "sites", _PLACES, "Clusters and machines that have joined."),
    Entry("alias", "aliases", _PLACES, "Names of elsewhere, and what they mean here."),
    Entry("trace", "trace", _SEE, "From a prediction back to model, job, code and data."),
    Entry("lineage", "lineage", _SEE, "What something came from, and what came of it."),
    Entry("event", "events", _SEE, "What happened."),
    Entry("audit", "audit", _SEE, "Who changed what."),
    Entry("login", "login", _WHO, "Remember a server and a token."),
    Entry("context", "contexts", _WHO, "The servers that are remembered."),
    Entry("token", "tokens", _WHO, "Tokens of a workspace."),
    Entry("whoami", "whoami", _WHO, "Whose token this is, and what it may do."),
)

BY_WORD = {entry.word: entry for entry in ENTRIES}

TAIL = """\
Options:
  --version             Show the version and exit.
  --install-completion  Install completion for the current shell.
  --show-completion     Show completion for the current shell.
  --help                Show this message and exit.

`ferry COMMAND --help` says more. The server is found from --context, FERRY_URL
and FERRY_TOKEN, a .ferry folder, or `ferry login`, in that order.
"""


def help_text() -> str:
    """What `ferry --help` prints."""
    width = max(len(entry.word) for entry in ENTRIES)
    lines = ["Usage: ferry [OPTIONS] COMMAND [ARGS]...", "", "  Train and serve models on any site you join.", ""]
    group = ""
    for entry in ENTRIES:
        if entry.group != group:
            lines += ([""] if group else []) + [f"{entry.group}:"]
            group = entry.group
        lines.append(f"  {entry.word:<{width}}  {entry.help}")
    return "\n".join([*lines, "", TAIL])
