"""The subcommands of the runner inside pods."""

from __future__ import annotations

import json

from ferryml.runner.bring import bring
from ferryml.runner.build import main as build
from ferryml.runner.collect import collect
from ferryml.runner.pod import Pod, options
from ferryml.runner.ready import ready
from ferryml.runner.recording import record

BUILDING = ("pull", "build", "push")


def main(argv: list[str]) -> int:
    """`stage|collect|pull|build|push --plan P --folder F`, `ready`; returns the exit code."""
    if argv == ["ready"]:
        return ready()
    given = options(argv[1:])
    if not given or argv[0] not in ("stage", "collect", *BUILDING):
        print("usage: runner stage|collect|pull|build|push --plan PLAN --folder FOLDER, or runner ready")
        return 2
    if argv[0] in BUILDING:
        with open(given["--plan"], encoding="utf-8") as file:
            return build(argv[0], json.load(file), given["--folder"])
    pod = Pod(given["--plan"], given["--folder"])
    if argv[0] == "stage":
        return bring(pod)
    return record(pod) if pod.plan.get("kind") == "serving" else collect(pod)
