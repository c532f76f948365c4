"""How the pods of one job find each other: variables for each rank, the MPI launcher, the hosts to wait for.

A job's plan is the same for all its pods; what differs is chosen by the pod's completion index:

    instances     pods of the job
    rank_env      per index: variables on top of `env`; empty when they do not differ
    commands      per index: what runs instead of `command`; null = `command`; empty list when they do not differ
    await_hosts   per index: hosts whose names must resolve before the program starts; empty list = none
    mpi           null, or what rank 0 needs to start programs in the other pods

MPI without sshd and without Python in the user's image. `mpirun` on rank 0 starts its daemons through a program that
is called like ssh: `AGENT [options] HOST WORDS...`, the words being a line for a shell. Ours is a POSIX shell script at
`mpi.agent`, made by the runner. It hands the line to the `collect` container of its own pod (files in the shared
folder); that one opens a TCP connection to port `mpi.port` of HOST's pod, whose `collect` hands the line to the main
container there, which runs it under its own env.sh. Standard output, error and exit code go back the same way; while
the connection lives the call lives, and its end ends the daemon.

HOST is what stands in `mpi.hosts`, or its first label (Open MPI cuts domains off): the number behind the last dash of
the first label is the pod's index. Who may call: both sides prove that they know the job's secret, which either gets
from the gateway (`GET /v1/group`, the same for all pods admitted to this attempt and for nobody else); it is in no
object of the cluster. Pods other than the first run nothing of their own: they serve calls until rank 0 says that it is
over, and end with 0, because rank 0's exit code is the job's. `mpi.files` are written into the runner's folder.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from ferryml.compile.kubernetes.names import host_name
from ferryml.domain.errors import Refused
from ferryml.domain.orders import JobOrder

MASTER_PORT = 6105
TF_PORT = 2222
RAY_PORT = 6379
OWN_LAUNCHER = re.compile(
    r"(?:^|[\n;&|({])\s*(?:\w+=\S*\s+|exec\s+|env\s+|time\s+|nohup\s+)*(?:\S*/)?(?:mpirun|mpiexec|horovodrun)(?:\s|$)"
)
"""A launcher where a shell looks for a program; the word alone may be an argument, or stand in a comment."""
MPI_PORT = 8473
"""Where `collect` of every pod but the first takes calls."""
AGENT = "ferry-rsh"

Json = Any


@dataclass
class Group:
    """What the plan says about the job's pods together; see the module's docstring."""

    instances: int = 1
    ranks: int = 1
    """Processes in each pod that the runner starts."""
    command: str = ""
    env: dict[str, str] = field(default_factory=dict)
    """Variables that are the same in all pods."""
    rank_env: list[dict[str, str]] = field(default_factory=list)
    commands: list[str | None] = field(default_factory=list)
    await_hosts: list[list[str]] = field(default_factory=list)
    mpi: dict[str, Json] | None = None
    leaders: int | None = None
    """The job is done when pods 0 to leaders-1 are; None: when all are."""


def group_of(order: JobOrder, command: str, name: str, folder: str) -> Group:
    """How the pods of one attempt work together.

    Args:
        command: the user's, paths put in.
        name: the attempt's, which its pods' host names are made of.
        folder: the runner's folder in each pod.

    Raises:
        Refused: BadValue when counts contradict each other, NotSupported for an unknown type.
    """
    kind = str(order.distribution.get("type") or "").lower()
    hosts = [host_name(name, index) for index in range(order.instance_count)]
    made = {"": _alone, "pytorch": _pytorch, "mpi": _mpi, "tensorflow": _tensorflow, "ray": _ray}.get(kind)
    if made is None:
        raise Refused("NotSupported", f"distribution {kind!r} is not known", "Use pytorch, mpi, tensorflow or ray.")
    group = made(order, command, hosts, folder)
    group.instances = order.instance_count
    return group


def _alone(order: JobOrder, command: str, hosts: list[str], folder: str) -> Group:
    return Group(command=command)


def _processes(order: JobOrder) -> int:
    return max(1, int(order.distribution.get("process_count_per_instance") or 1))


def _pytorch(order: JobOrder, command: str, hosts: list[str], folder: str) -> Group:
    """torchrun's variables; the runner adds RANK and LOCAL_RANK of each process."""
    ranks = _processes(order)
    env = {
        "MASTER_ADDR": hosts[0] if len(hosts) > 1 else "127.0.0.1",
        "MASTER_PORT": str(MASTER_PORT),
        "WORLD_SIZE": str(ranks * len(hosts)),
        "LOCAL_WORLD_SIZE": str(ranks),
        "LOCAL_RANK": "0",
    }
    each = [{"NODE_RANK": str(index), "RANK": str(index * ranks)} for index in range(len(hosts))]
    waits = [[] if index == 0 else hosts[:1] for index in range(len(hosts))] if len(hosts) > 1 else []
    return Group(ranks=ranks, command=command, env=env, rank_env=each, await_hosts=waits)


def _mpi(order: JobOrder, command: str, hosts: list[str], folder: str) -> Group:
    """Rank 0 runs mpirun over all pods, unless the command brings its own; Open MPI 4 and 5, MPICH and Intel MPI."""
    slots = _processes(order)
    agent = f"{folder}/{AGENT}"
    files = {
        "hostfile": "".join(f"{host} slots={slots}\n" for host in hosts),
        "hostfile.hydra": "".join(f"{host}:{slots}\n" for host in hosts),
    }
    mpi = {"hosts": hosts, "slots": slots, "port": MPI_PORT, "agent": agent, "files": files}
    return Group(
        command=command if OWN_LAUNCHER.search(command) else _mpirun(command, slots * len(hosts)),
        env=_mpi_env(agent, folder),
        await_hosts=[hosts[1:] if index == 0 else [] for index in range(len(hosts))] if len(hosts) > 1 else [],
        mpi=mpi if len(hosts) > 1 else None,
    )


def _mpirun(command: str, processes: int) -> str:
    shell = '"$(command -v bash || echo /bin/sh)"'
    return f"exec mpirun -np {processes} {shell} -c {shlex.quote(command)}"


def _mpi_env(agent: str, folder: str) -> dict[str, str]:
    hosts, hydra = f"{folder}/hostfile", f"{folder}/hostfile.hydra"
    return {
        "OMPI_MCA_plm_rsh_agent": agent,
        # One hop for all: the other pods have no way to start anything.
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        # The daemons stay children of the call that started them, so that its end is theirs.
        "OMPI_MCA_orte_leave_session_attached": "1",
        "OMPI_MCA_orte_default_hostfile": hosts,
        # Pods share cores by weight; binding would put the ranks of two jobs on one core.
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        # Reading another process's memory is forbidden in containers.
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_plm_ssh_agent": agent,
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
        "PRTE_MCA_prte_leave_session_attached": "1",
        "PRTE_MCA_prte_default_hostfile": hosts,
        "PRTE_MCA_hwloc_default_binding_policy": "none",
        "PRTE_ALLOW_RUN_AS_ROOT": "1",
        "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "HYDRA_LAUNCHER": "ssh",
        "HYDRA_LAUNCHER_EXEC": agent,
        "HYDRA_HOST_FILE": hydra,
        "I_MPI_HYDRA_BOOTSTRAP": "ssh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": agent,
        "I_MPI_HYDRA_HOST_FILE": hydra,
    }


def _tensorflow(order: JobOrder, command: str, hosts: list[str], folder: str) -> Group:
    """TF_CONFIG; the last pods are parameter servers, which end when the workers have."""
    servers = int(order.distribution.get("parameter_server_count") or 0)
    workers = int(order.distribution.get("worker_count") or len(hosts) - servers)
    if workers < 1 or workers + servers != len(hosts):
        raise Refused(
            "BadValue",
            f"worker_count {workers} + parameter_server_count {servers} is not instance_count {len(hosts)}",
            "Make the counts agree.",
        )
    ports = [f"{host}:{TF_PORT}" for host in hosts]
    cluster = {"worker": ports[:workers], **({"ps": ports[workers:]} if servers else {})}
    tasks = [("worker", index) for index in range(workers)] + [("ps", index) for index in range(servers)]
    each = [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"})}
        for kind, index in tasks
    ]
    return Group(command=command, rank_env=each, leaders=workers if servers else None)


def _ray(order: JobOrder, command: str, hosts: list[str], folder: str) -> Group:
    """A head in pod 0, where the command runs; the others join it and end when it does."""
    said = order.distribution
    port = int(said.get("port") or RAY_PORT)
    address = str(said.get("address") or "") or f"{hosts[0]}:{port}"
    head = [f"--port={port}", f"--include-dashboard={str(bool(said.get('include_dashboard'))).lower()}"]
    if said.get("dashboard_port"):
        head.append(f"--dashboard-port={int(said['dashboard_port'])}")
    first = f"ray start --head {' '.join(head)} {said.get('head_node_additional_args') or ''}".rstrip()
    others = f"ray start --address={shlex.quote(address)} {said.get('worker_node_additional_args') or ''}".rstrip()
    # A worker that is cut off when the head ends has not failed.
    join = f"{others} --block || true"
    wrapped = f"{first} || exit $?\n(\n{command}\n)\ncode=$?\nray stop >/dev/null 2>&1\nexit $code"
    own_head = not said.get("address")
    return Group(
        command=wrapped if own_head else command,
        env={"RAY_ADDRESS": address},
        commands=[wrapped if own_head else join, *(join for _ in hosts[1:])] if len(hosts) > 1 else [],
        await_hosts=[[] if index == 0 else hosts[:1] for index in range(len(hosts))] if own_head else [],
        leaders=1 if len(hosts) > 1 and own_head else None,
    )
