import json
import os
import subprocess

import pytest

from ferryml.compile.kubernetes.distribution import group_of
from ferryml.domain.errors import Refused
from pod_things import an_order


def a_group(count=1, command="python train.py", **distribution):
    order = an_order(instance_count=count, distribution=distribution)
    return group_of(order, command, "j-1", "/ferry/job")


def test_without_distribution_each_instance_is_by_itself():
    group = a_group(3)
    assert (group.instances, group.ranks, group.command) == (3, 1, "python train.py")
    assert (group.env, group.rank_env, group.await_hosts, group.mpi) == ({}, [], [], None)


def test_pytorch_counts_processes_over_all_instances():
    group = a_group(2, type="pytorch", process_count_per_instance=4)
    assert (group.ranks, group.env["WORLD_SIZE"], group.env["LOCAL_WORLD_SIZE"]) == (4, "8", "4")
    assert (group.env["MASTER_ADDR"], group.env["MASTER_PORT"]) == ("j-1-0.j-1", "6105")
    assert [env["NODE_RANK"] + env["RANK"] for env in group.rank_env] == ["00", "14"]
    assert group.await_hosts == [[], ["j-1-0.j-1"]]


def test_pytorch_on_one_instance_needs_no_names():
    group = a_group(1, type="PyTorch")
    assert (group.env["MASTER_ADDR"], group.env["WORLD_SIZE"], group.await_hosts) == ("127.0.0.1", "1", [])


def test_mpi_runs_the_command_over_all_instances():
    group = a_group(2, "python train.py --x 'a b'", type="mpi", process_count_per_instance=2)
    assert group.command.startswith("exec mpirun -np 4 ")
    assert group.mpi["hosts"] == ["j-1-0.j-1", "j-1-1.j-1"]
    assert group.mpi["files"]["hostfile"] == "j-1-0.j-1 slots=2\nj-1-1.j-1 slots=2\n"
    assert group.env["OMPI_MCA_plm_rsh_agent"] == group.mpi["agent"] == "/ferry/job/ferry-rsh"
    assert group.await_hosts == [["j-1-1.j-1"], []]


def test_a_command_that_brings_its_own_mpirun_is_left_alone():
    assert a_group(2, "mpirun -np 2 ./a", type="mpi").command == "mpirun -np 2 ./a"
    for own in (
        "/opt/mpi/bin/mpiexec ./a",
        "cd src && X=1 exec mpirun ./a",
        "set -e\n  horovodrun -np 2 ./a",
        "mpirun",
    ):
        assert a_group(2, own, type="mpi").command == own


def test_a_launchers_name_alone_is_no_launcher():
    for command in ("python a.py --with mpirun", "# as mpirun does\npython a.py", "python mpirun.py", "./notmpirun a"):
        assert a_group(2, command, type="mpi").command.startswith("exec mpirun -np "), command


def test_mpi_on_one_instance_calls_nobody():
    group = a_group(1, type="mpi", process_count_per_instance=2)
    assert group.mpi is None
    assert "-np 2" in group.command


def test_the_command_reaches_its_shell_unchanged(tmp_path):
    fake = tmp_path / "mpirun"
    fake.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    fake.chmod(0o755)
    command = "echo \"it's $X\" && printf '%s\\n' 'a  b'"
    group = a_group(2, command, type="mpi")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "X": "fine"}
    done = subprocess.run(["/bin/sh", "-c", group.command], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "it's fine\na  b\n"


def test_tensorflow_is_told_its_cluster_and_task():
    group = a_group(3, type="tensorflow", worker_count=2, parameter_server_count=1)
    told = [json.loads(env["TF_CONFIG"]) for env in group.rank_env]
    assert told[0]["cluster"] == {"worker": ["j-1-0.j-1:2222", "j-1-1.j-1:2222"], "ps": ["j-1-2.j-1:2222"]}
    assert [each["task"] for each in told] == [
        {"type": "worker", "index": 0}, {"type": "worker", "index": 1}, {"type": "ps", "index": 0},
    ]  # fmt: skip
    assert group.leaders == 2
    assert told[0]["environment"] == "cloud"


def test_tensorflow_has_as_many_workers_as_instances():
    group = a_group(2, type="tensorflow")
    assert len(json.loads(group.rank_env[1]["TF_CONFIG"])["cluster"]["worker"]) == 2
    assert group.leaders is None


def test_ray_has_its_head_on_the_first_instance():
    group = a_group(2, type="ray", dashboard_port=8265, include_dashboard=True)
    assert "ray start --head --port=6379 --include-dashboard=true --dashboard-port=8265" in group.command
    assert "python train.py" in group.command
    assert group.commands[1] == "ray start --address=j-1-0.j-1:6379 --block || true"
    assert (group.env["RAY_ADDRESS"], group.leaders) == ("j-1-0.j-1:6379", 1)


def test_ray_ends_with_the_commands_own_code(tmp_path):
    (tmp_path / "ray").write_text("#!/bin/sh\n")
    (tmp_path / "ray").chmod(0o755)
    group = a_group(1, "exit 7", type="ray")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["/bin/sh", "-c", group.command], env=env, check=False).returncode == 7


def test_an_existing_ray_is_joined_by_all_but_the_first():
    group = a_group(2, type="ray", address="head:1")
    assert group.command == "python train.py"
    assert group.commands[1].startswith("ray start --address=head:1")


@pytest.mark.parametrize(
    ("distribution", "code"),
    [
        ({"type": "horovod"}, "NotSupported"),
        ({"type": "tensorflow", "worker_count": 5}, "BadValue"),
        ({"type": "tensorflow", "parameter_server_count": 2}, "BadValue"),
    ],
)
def test_what_does_not_add_up_is_refused(distribution, code):
    with pytest.raises(Refused) as caught:
        a_group(2, **distribution)
    assert caught.value.code == code
