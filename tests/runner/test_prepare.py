"""Preparations: real uv on this machine, packages through a real gateway from an index of tiny wheels."""

import subprocess
import sys

import pytest

from cluster_gateway_play import PlayClusterGateway
from ferryml.compile.environment import (
    environment_order,
    ingredients_hash,
    lock_answers,
    lock_python,
    lock_text,
    on_image,
    with_key,
)
from ferryml.compile.kubernetes.cluster import cluster_of
from ferryml.compile.kubernetes.preparation import Preparation, preparation_plan
from ferryml.domain.orders import BuildOrder, TreeRef
from ferryml.runner import prepare
from package_index import Index
from pod_play import PlayPod
from wheel_play import a_wheel

BUILT = environment_order(build=BuildOrder(context=TreeRef(digest="sha256:" + "c" * 64)), pip_requirements=["alpha"])
VERSION = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def index(tmp_path):
    wheels = tmp_path / "wheels"
    a_wheel(wheels, "alpha", "1.0", ("beta>=2",))
    a_wheel(wheels, "alpha", "0.9")
    a_wheel(wheels, "beta", "2.1")
    index = Index(wheels)
    yield index
    index.close()


@pytest.fixture
def gateway(tmp_path, play_server, index):
    play = PlayClusterGateway(tmp_path / "gateway", play_server, "https://c", package_index=index.url("127.0.0.1"))
    yield play
    play.close()


@pytest.fixture
def a_preparation(gateway, tmp_path):
    made = []

    def make(order, **plan):
        cluster = cluster_of({}, gateway_url=gateway.url, ca="", main_sh="")
        base = preparation_plan(Preparation(order), cluster)
        gateway.admit(
            prefix="prepare-k1-", uid=f"environment.{order.key}", kind="preparation", namespace="ferry-system"
        )
        top = tmp_path / f"ferry{len(made)}"
        pod = PlayPod(gateway, top, kind="preparation")
        pod.plan |= {**base, "upload_patience_s": 20, "grace_s": 1, "flush_s": 0.05, **plan}
        pod.plan |= {
            "gateway": gateway.url, "ca": str(gateway.authority), "token_file": str(top / "token"),
            "folder": str(top / "env"), "door_port": pod.port,
            "index": f"http://127.0.0.1:{pod.port}/v1/packages/simple/",
            "conda_channels": f"http://127.0.0.1:{pod.port}/v1/conda",
        }  # fmt: skip
        made.append(pod)
        return pod

    yield make
    for pod in made:
        pod.close()


def made(gateway, key):
    return gateway.agent.get("/v1/environment", params={"key": key}).json()


def test_an_environment_is_resolved_locked_and_kept(a_preparation, gateway):
    order = environment_order(image="i", pip_requirements=["alpha"])
    pod = a_preparation(order)
    assert pod.run() == 0, pod.logs()
    found = made(gateway, order.key)
    assert lock_answers(found["lock"], order)
    assert lock_python(found["lock"]) == VERSION
    assert "alpha==1.0" in found["lock"]
    assert "beta==2.1" in found["lock"]
    assert "--hash=sha256:" in found["lock"]
    python = pod.top / "env/bin/python"
    said = subprocess.run([python, "-c", "import alpha, beta; print(beta.VERSION)"], capture_output=True, text=True)
    assert said.stdout == "2.1\n"
    locked = order.model_copy(update={"lock": found["lock"]})
    assert made(gateway, with_key(locked).key)["digest"] == found["digest"]


def test_what_a_built_image_has_stays_importable(a_preparation):
    def configured(image):
        order = environment_order(image=image, pip_requirements=["alpha"]) if image == "i" else on_image(BUILT, image)
        pod = a_preparation(order)
        assert pod.run() == 0, pod.logs()
        return (pod.top / "env/pyvenv.cfg").read_text()

    assert "include-system-site-packages = true" in configured("r/x@sha256:1")
    assert "include-system-site-packages = false" in configured("i")


def test_a_lock_is_installed_as_it_is(a_preparation, gateway):
    first = environment_order(image="i", pip_requirements=["alpha"])
    lock = lock_text(first, VERSION, "alpha==0.9")
    order = environment_order(image="i", pip_requirements=["alpha"], lock=lock)
    pod = a_preparation(order)
    assert pod.run() == 0
    assert made(gateway, order.key)["lock"] == lock
    assert (pod.top / "env/lib" / f"python{VERSION}" / "site-packages/alpha.py").read_text() == "VERSION = '0.9'\n"


def test_what_cannot_be_resolved_is_said_in_the_resolvers_words(a_preparation, gateway):
    pod = a_preparation(environment_order(image="i", pip_requirements=["alpha>5"]))
    assert pod.run() != 0
    state = pod.state
    assert (state["phase"], state["exit_code"] != 0, len(state["error_lines"])) == ("done", True, 1)
    assert "alpha" in state["error_lines"][0]
    assert "No solution found" in state["error_lines"][0]


def test_a_python_that_the_image_lacks_is_said_with_the_fix(a_preparation):
    pod = a_preparation(environment_order(image="i", conda_file={"dependencies": ["python=2.9"]}))
    assert pod.run() != 0
    assert "python 2.9 is not in the image" in pod.state["error_lines"][0]
    assert "python=nearest" in pod.state["error_lines"][0]


def test_the_nearest_python_is_taken_where_the_site_says_so(a_preparation, gateway):
    order = environment_order(image="i", conda_file={"dependencies": ["python=2.9", {"pip": ["beta"]}]})
    pod = a_preparation(order, python_policy="nearest")
    assert pod.run() == 0, pod.state
    assert "nearest that the image has" in made(gateway, order.key)["notes"][0]


FAKE_CONDA = """#!/bin/sh
# As `conda create` would: an environment at --prefix.
echo "$*" >>"$FERRY_CACHE/asked"
while [ "$1" != --prefix ]; do shift; done
python3 -m venv --without-pip "$2" && mkdir "$2/conda-meta" && : >"$2/conda-meta/mkl-2024.0-h1_0.json"
"""


def test_conda_in_the_image_is_used_when_the_site_has_channels(a_preparation, gateway, tmp_path):
    conda = tmp_path / "bin/conda"
    conda.parent.mkdir()
    conda.write_text(FAKE_CONDA)
    conda.chmod(0o755)
    spec = {"channels": ["conda-forge"], "dependencies": ["python=3", "libfoo=2", {"pip": ["beta"]}]}
    order = environment_order(image="i", conda_file=spec)
    pod = a_preparation(order)
    pod.programs = f"{conda.parent}:"
    assert pod.run() == 0, (pod.state, pod.logs())
    asked = (pod.top / "cache/asked").read_text()
    channel = f"http://127.0.0.1:{pod.port}/v1/conda/conda-forge"
    assert f"--override-channels --channel {channel} python=3 pip libfoo=2" in asked
    lock = made(gateway, order.key)["lock"]
    assert "# conda mkl-2024.0-h1_0\n" in lock
    assert "beta==2.1" in lock
    assert not lock_answers(lock, order)  # a site without conda could make only half of it


def test_without_conda_what_pypi_lacks_is_said(a_preparation):
    pod = a_preparation(environment_order(image="i", conda_file={"dependencies": ["libfoo=2"]}))
    assert pod.run() != 0
    assert "libfoo" in pod.state["error_lines"][0]


def test_what_names_another_index_is_said_and_dropped():
    lines = ["a", "--extra-index-url https://u:p@x/simple", "--index-url=https://y", "-f z", "--pre"]
    kept, said = prepare.requirement_lines(lines)
    assert kept == ["a", "--pre"]
    assert said[0].startswith("--extra-index-url https://***@x/simple is not honoured")


def test_locks_are_read_and_written_as_everywhere(tmp_path):
    order = environment_order(pip_requirements=["a"], conda_file={"dependencies": ["python=3.11", "numpy"]})
    plan = {"order": order.model_dump(mode="json"), "lock": lock_text(order, "3.11", "a==1")}
    assert prepare.ingredients_hash(plan["order"]) == ingredients_hash(order)
    assert prepare.lock_answers(plan)
    assert not prepare.lock_answers({**plan, "lock": "# for other\n"})
    (tmp_path / "prepare").mkdir()
    for name, text in (("pinned", "a==1\n"), ("version", "3.11.4\n")):
        (tmp_path / "prepare" / name).write_text(text)
    assert prepare.lock_made(plan, str(tmp_path)) == plan["lock"]
    (tmp_path / "prepare" / "conda.lock").write_text("# conda numpy-1-0\n")
    assert not lock_answers(prepare.lock_made(plan, str(tmp_path)), order)


def test_the_reason_is_one_line_without_ornaments(tmp_path):
    (tmp_path / "prepare").mkdir()
    (tmp_path / "prepare" / "reason").write_text("noise\n  \u00d7 No solution found:\n  ╰─▶ Because a\n      and b\n")
    assert prepare.reason(str(tmp_path)) == "No solution found: Because a and b"
    assert prepare.reason(str(tmp_path / "nowhere")) == ""
