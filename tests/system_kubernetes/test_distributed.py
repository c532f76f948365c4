"""Jobs of several pods: they find each other, start and end together, and every rank's log is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster_play import World
from kubebox import images

MPI_IMAGE = "ferry-tests/openmpi:4"
MPI_RECIPE = """FROM docker.io/library/python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends openmpi-bin && rm -rf /var/lib/apt/lists/*
"""

SUM = """
import os, socket
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    with socket.create_server(("", place[1])) as server:
        others = [server.accept()[0] for _ in range(world - 1)]
        total = sum(int(other.recv(16)) for other in others)
        for other in others:
            other.sendall(b"%d" % total)
else:
    while True:
        try:
            line = socket.create_connection(place, 5)
            break
        except OSError:
            pass
    line.sendall(b"%d" % rank)
    total = int(line.recv(16))
print(f"rank {rank} of {world} on node {os.environ['NODE_RANK']}: the sum is {total}")
"""

ALLREDUCE = """
import ctypes as c, os, socket
mpi = c.CDLL("libmpi.so.40", mode=c.RTLD_GLOBAL)
def known(name): return c.c_void_p(c.addressof(c.c_char.in_dll(mpi, name)))
world, rank, size, total = known("ompi_mpi_comm_world"), c.c_int(), c.c_int(), c.c_int()
mpi.MPI_Init(None, None)
mpi.MPI_Comm_rank(world, c.byref(rank))
mpi.MPI_Comm_size(world, c.byref(size))
one = c.c_int(rank.value + 1)
mpi.MPI_Allreduce(c.byref(one), c.byref(total), 1, known("ompi_mpi_int"), known("ompi_mpi_op_sum"), world)
# in one piece: mpirun forwards what it reads, and print() writes the end of a line by itself
os.write(1, f"rank {rank.value} of {size.value} on {socket.gethostname()[-1]}: {total.value}\\n".encode())
mpi.MPI_Finalize()
"""


def heredoc(code: str) -> str:
    return f"python3 - <<'END'\n{code}\nEND"


def test_pytorchs_variables_bring_all_ranks_together(joined: World) -> None:
    joined.submit(
        "sums", heredoc(SUM), "team-a", resources={"instance_count": 2},
        distribution={"type": "pytorch", "process_count_per_instance": 2},
    )  # fmt: skip
    joined.completes("sums", within_s=180)
    logs = [joined.log("sums"), *(joined.log("sums", f"user_logs/std_log_process_{rank}.txt") for rank in (1, 2, 3))]
    assert logs == [f"rank {rank} of 4 on node {rank // 2}: the sum is 6\n" for rank in range(4)]


def test_tensorflow_is_told_its_cluster(joined: World) -> None:
    joined.submit(
        "tf", 'echo "$TF_CONFIG"', "team-a", resources={"instance_count": 2},
        distribution={"type": "tensorflow", "worker_count": 2},
    )  # fmt: skip
    joined.completes("tf", within_s=180)
    first, second = json.loads(joined.log("tf")), json.loads(joined.log("tf", "user_logs/std_log_process_1.txt"))
    assert first["cluster"] == second["cluster"]
    assert len(first["cluster"]["worker"]) == 2
    assert (first["task"], second["task"]) == ({"type": "worker", "index": 0}, {"type": "worker", "index": 1})


@pytest.fixture(scope="module")
def mpi_image(joined: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Debian's Open MPI; the packages come from this machine's own mirror."""
    folder: Path = tmp_path_factory.mktemp("mpi")
    (folder / "Containerfile").write_text(MPI_RECIPE)
    tar = images.build(folder / "Containerfile", folder, MPI_IMAGE, "--volume", "/etc/apt:/etc/apt:ro")
    for cluster, _ in joined._installed:
        cluster.load_image(tar)
    return MPI_IMAGE


def test_real_mpi_runs_between_pods_without_sshd(joined: World, mpi_image: str) -> None:
    joined.submit(
        "allreduce", heredoc(ALLREDUCE), "team-a", resources={"instance_count": 2},
        environment={"name": "mpi", "image": mpi_image},
        distribution={"type": "mpi", "process_count_per_instance": 2},
    )  # fmt: skip
    joined.completes("allreduce", within_s=240)
    said = sorted(joined.log("allreduce").splitlines())
    assert [line.rpartition(": ")[2] for line in said] == ["10"] * 4, said
    assert [line.partition(" on ")[0] for line in said] == [f"rank {rank} of 4" for rank in range(4)]


def test_one_failure_ends_the_job(joined: World) -> None:
    command = 'if [ "$NODE_RANK" = 1 ]; then echo no luck >&2; exit 7; fi; echo waiting; exec sleep 600'
    joined.submit("half", command, "team-a", resources={"instance_count": 2}, distribution={"type": "pytorch"})
    job = joined.settles("half", within_s=180)
    assert (job["status"], job["ferry"]["exit_code"]) == ("Failed", 7)
    assert "no luck" in str(job["ferry"]["error_lines"])
    assert joined.log("half", "user_logs/std_log_process_1.txt") == "no luck\n"
