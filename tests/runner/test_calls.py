import socket

import pytest

from ferryml.runner.calls import host_index
from ferryml.runner.frames import Stranger, Talk
from fixtures_components import INSTALL_LIMIT_S
from mpi_play import SECRET, Pods, possible

pytestmark = pytest.mark.skipif(not possible(), reason="no namespaces here")


@pytest.fixture
def pods(tmp_path):
    pods = Pods(tmp_path)
    yield pods
    pods.close()


def test_a_call_runs_in_the_other_pod_with_its_variables(pods):
    pods.lay("../ferry-rsh -x job-1 'echo $POD in $PWD; echo wrong >&2; exit 7'; echo got $?", A="b")
    pods.open()
    assert pods.run() == (0, 0)
    assert sorted(pods.log().splitlines()) == ["got 7", f"one in {pods.folders[1]}/code", "wrong"]


def test_much_comes_through_whole(pods):
    pods.lay("../ferry-rsh job-1.svc 'head -c 3000000 /dev/zero' | wc -c")
    pods.open()
    assert pods.run() == (0, 0)
    assert pods.log().strip() == "3000000"


def test_what_was_called_ends_with_its_caller(pods):
    inner = "../ferry-rsh job-1 'exec sleep 100' & echo $! > ../rsh; wait"
    pods.lay(f"({inner}) & sleep 0.7; kill $(cat ../rsh)")
    pods.open()
    worker = pods.start(1)
    assert pods.start(0).wait(20) == 0
    pods.wait_for(1, "calls/1.code")
    pods.caller.over()
    assert worker.wait(20) == 0


def test_who_does_not_know_the_secret_is_not_heard(pods):
    pods.lay("../ferry-rsh job-1 'touch ../broken-into'")
    pods.open()
    pods.start(1)
    line = socket.create_connection(("127.0.0.1", pods.server.port), timeout=5)
    with pytest.raises((Stranger, OSError)):
        Talk(line, "b" * 64, True, "1").hear()
    line.close()
    line = socket.create_connection(("127.0.0.1", pods.server.port), timeout=5)
    with pytest.raises((Stranger, OSError)):
        Talk(line, SECRET, True, "2").hear()  # meant for another pod
    line.close()
    assert not (pods.folders[1] / "broken-into").exists()


def test_a_host_that_is_no_pod_of_the_job_is_said(pods):
    pods.lay("../ferry-rsh elsewhere true")
    pods.open()
    assert pods.start(0).wait(20) == 255
    assert "no pod of this job" in pods.log()


def test_hosts_are_known_by_their_first_label():
    assert [host_index(name) for name in ("a-b-3", "a-12.a.ns.svc")] == [3, 12]
    with pytest.raises(ValueError, match="no pod"):
        host_index("10.0.0.1")


@pytest.mark.timeout(INSTALL_LIMIT_S)
def test_a_real_mpirun_starts_its_ranks_in_both_pods(pods, component):
    component("openmpi")
    pods.lay("exec mpirun -np 2 sh -c 'echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on $(hostname)'")
    pods.open()
    assert pods.run() == (0, 0), pods.log()
    assert sorted(pods.log().splitlines()) == ["rank 0 of 2 on job-0", "rank 1 of 2 on job-1"]
