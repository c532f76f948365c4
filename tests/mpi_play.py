"""Two pods of an MPI job on this machine: main.sh and `collect`'s calls for each, in namespaces of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import ferryml
from ferryml.runner.calls import Caller, Server, lay_calls
from ferryml.runner.shell import write_shell

MAIN = Path(ferryml.__file__).parent / "runner" / "main.sh"
INSIDE = ("unshare", "--user", "--map-root-user", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")
SECRET = "a" * 64


def possible() -> bool:
    """Whether namespaces may be made here."""
    return subprocess.run([*INSIDE, "true"], capture_output=True).returncode == 0


class Pods:
    """Pods 0 and 1; `run` gives pod 0's exit code."""

    def __init__(self, top: Path, secret: str = SECRET) -> None:
        self.folders = [top / f"pod{index}" / "job" for index in (0, 1)]
        self._started: list[subprocess.Popen[bytes]] = []
        self._secret = secret
        for folder in self.folders:
            (folder / "code").mkdir(parents=True)
            (folder / "outputs").mkdir()

    def lay(self, command: str, **env: str) -> None:
        """What `stage` does in both."""
        hosts = "job-0 slots=1\njob-1 slots=1\n"
        self.mpi: dict[str, Any] = {"hosts": ["127.0.0.1", "127.0.0.1"], "slots": 1, "port": 0}
        for index, folder in enumerate(self.folders):
            (folder / "code").mkdir(exist_ok=True)
            mpi = {**self.mpi, "agent": str(folder / "ferry-rsh"), "files": {"hostfile": hosts}}
            base = {
                "OMPI_MCA_plm_rsh_agent": str(self.folders[0] / "ferry-rsh"),
                "OMPI_MCA_plm_rsh_no_tree_spawn": "1", "OMPI_MCA_orte_leave_session_attached": "1",
                "OMPI_MCA_orte_default_hostfile": str(self.folders[0] / "hostfile"), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
                "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            }  # fmt: skip
            plan = {
                "command": command, "env": {**base, **env}, "timeout_s": 60, "timeout_slack_s": 0, "mpi": mpi,
                "upload_patience_s": 20, "grace_s": 1, "rank_env": [{"POD": "zero"}, {"POD": "one"}],
            }  # fmt: skip
            lay_calls(plan, str(folder), index)
            write_shell(plan, str(folder), index)

    def open(self) -> None:
        """What `collect` does in both."""
        self.server = Server(str(self.folders[1]), self.mpi, 1, lambda: self._secret)
        self.caller = Caller(str(self.folders[0]), {**self.mpi, "port": self.server.port}, lambda: SECRET)

    def start(self, index: int) -> subprocess.Popen[bytes]:
        folder = self.folders[index]
        (folder / "collected").touch()
        script = f"hostname job-{index}; exec sh {MAIN}"
        env = {"PATH": os.environ["PATH"], "FERRY_JOB": str(folder), "HOME": "/tmp"}
        with open(folder / "container.log", "wb") as log:
            process = subprocess.Popen([*INSIDE, "sh", "-c", script], env=env, stdout=log, stderr=log, cwd=folder)
        self._started.append(process)
        return process

    def run(self) -> tuple[int, int]:
        """Exit codes of both pods."""
        worker = self.start(1)
        code = self.start(0).wait(60)
        self.caller.over()
        return code, worker.wait(20)

    def log(self, index: int = 0) -> str:
        name = "std_log.txt" if index == 0 else f"std_log_process_{index}.txt"
        return (self.folders[index] / "user_logs" / name).read_text()

    def wait_for(self, index: int, name: str) -> None:
        until = time.monotonic() + 20
        while not (self.folders[index] / name).exists():
            assert time.monotonic() < until, f"{name} did not come"
            time.sleep(0.02)

    def close(self) -> None:
        self.server.close()
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait(5)
