import json

from ferryml.compile.environment import environment_order
from ferryml.compile.kubernetes.preparation import Preparation, make_preparation
from pod_things import a_cluster

CONDA = {"channels": ["conda-forge"], "dependencies": ["python=3.11", "scikit-learn=1.5", {"pip": ["mlflow"]}]}


def made_of(attempt=1, cluster=None, **environment):
    order = environment_order(image="base:1", **environment)
    return order, make_preparation(Preparation(order, attempt), cluster or a_cluster())


def test_it_runs_in_ferrys_own_namespace_with_resources_of_its_own():
    order, made = made_of(pip_requirements=["numpy"])
    config, job = made.objects
    pod = job["spec"]["template"]["spec"]
    assert job["metadata"]["name"] == config["metadata"]["name"] == f"prepare-{order.key[:20]}"
    assert {body["metadata"]["namespace"] for body in made.objects} == {"ferry-environments"}
    assert pod["serviceAccountName"] == "ferry-preparation"
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert pod["containers"][0]["image"] == "base:1"


def test_the_plan_has_the_lines_for_uv_and_those_for_conda():
    _, made = made_of(conda_file=CONDA)
    plan = json.loads(made.objects[0]["data"]["job.json"])
    assert plan["conda"] == ["scikit-learn=1.5"]
    assert (plan["python"], plan["channels"]) == ("3.11", ["conda-forge"])
    assert set(plan["requirements"]) == {"scikit-learn==1.5.*", "mlflow"}
    assert plan["index"].startswith("http://127.0.0.1:8471/")
    assert plan["folder"] == "/ferry/env"


def test_a_lock_is_carried_along():
    _, made = made_of(pip_requirements=["numpy"], lock="# ferry lock 1\nnumpy==2.0.0\n")
    assert "numpy==2.0.0" in made.plan["lock"]


def test_its_script_is_what_the_container_runs():
    _, made = made_of(pip_requirements=["a"], cluster=a_cluster(prepare_sh="echo prepare\n"))
    assert made.objects[0]["data"]["main.sh"] == "echo prepare\n"
    main = made.job["spec"]["template"]["spec"]["containers"][0]
    assert main["command"] == ["/bin/sh", "/ferry-plan/main.sh"]


def test_it_belongs_to_nobody_and_ends_by_itself():
    order, made = made_of(attempt=7, pip_requirements=["a"])
    meta = made.job["metadata"]
    assert meta["labels"]["ferryml.dev/attempt"] == "7"
    assert "ferryml.dev/workspace" not in meta["labels"]
    assert meta["annotations"]["ferryml.dev/uid"] == f"environment.{order.key}"
    assert made.job["spec"]["activeDeadlineSeconds"] > 1800


def test_what_the_index_lacks_is_left_to_an_image_with_conda():
    _, made = made_of(conda_file={"dependencies": ["r-base"]})
    assert made.plan["conda"] == ["r-base"]
    assert "r-base" in made.plan["unmapped"]
    assert made_of(conda_file=CONDA)[1].plan["unmapped"] == ""
