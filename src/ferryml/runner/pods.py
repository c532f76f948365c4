"""The subcommands of the runner inside pods."""

from __future__ import annotations

from ferryml.runner.bring import bring
from ferryml.runner.collect import collect
from ferryml.runner.pod import Pod, options
from ferryml.runner.ready import ready
from ferryml.runner.recording import record


def main(argv: list[str]) -> int:
    """`stage|collect --plan P --folder F`, `ready`; returns the exit code."""
    if argv == ["ready"]:
        return ready()
    given = options(argv[1:])
    if not given or argv[0] not in ("stage", "collect"):
        print("usage: runner stage|collect --plan PLAN --folder FOLDER, or runner ready")
        return 2
    pod = Pod(given["--plan"], given["--folder"])
    if argv[0] == "stage":
        return bring(pod)
    return record(pod) if pod.plan.get("kind") == "serving" else collect(pod)
