"""A revision as objects of a cluster: what the pod runs, where its files are, how it begins and ends."""

import json

import pytest

from ferryml.compile.kubernetes.plan import Archive
from ferryml.compile.kubernetes.serving import ORDER, Served, grace_s, make_revision, order_mark, places, serving_plan
from ferryml.domain.errors import Refused
from ferryml.domain.instance_types import read
from ferryml.domain.orders import (
    BuildOrder,
    CollectionOrder,
    DatastorePath,
    EnvironmentOrder,
    ModelSource,
    RevisionOrder,
    TreeRef,
)
from ferryml.domain.spec.instance_type import BUILT_IN
from pod_security import faults
from pod_things import a_cluster

CODE = TreeRef(digest="sha256:" + "a" * 64, name="onlinescoring")
FOLDER = TreeRef(digest="sha256:" + "b" * 64, name="model")
FILE = TreeRef(digest="sha256:" + "c" * 64, kind="file", name="m.pkl")
ARCHIVE = Archive("sha256:" + "d" * 64, 7)
CUSTOM = {"flavor": "custom", "code": None, "scoring_script": ""}
ROUTES = {"liveness": "8501/v1/models/m", "readiness": "8501/ready", "scoring": "8501/v1/models/m:predict"}


def a_revision(**fields):
    made = {
        "revision": "r" * 10, "deployment": "blue", "flavor": "script", "code": CODE, "scoring_script": "score.py",
        "environment": EnvironmentOrder(key="k", image="python:3.11"),
    }  # fmt: skip
    return RevisionOrder(**{**made, **fields})


def served(revision=None, **fields):
    made = {
        "uid": "endpoint.w.e", "endpoint": "e", "namespace": "team", "workspace": "w", "compute": "c",
        "revision": revision or a_revision(), "count": 2, "instance_type": BUILT_IN, "environment": ARCHIVE,
    }  # fmt: skip
    return Served(**{**made, **fields})


def made(revision=None, kubernetes=(1, 34), knobs=None, **fields):
    return make_revision(served(revision, **fields), a_cluster(kubernetes=kubernetes, **(knobs or {})))


def pod(of):
    return of.deployment["spec"]["template"]["spec"]


def main(of):
    return pod(of)["containers"][0]


def variables(of):
    return {one["name"]: one["value"] for one in main(of)["env"]}


def test_a_script_runs_under_the_inference_server_of_its_environment():
    of = made(a_revision(model=FOLDER, model_name="model:m:3", environment_variables={"A": "$(HOME) $x"}))
    assert main(of)["command"][:2] == ["/bin/sh", "-c"]
    assert main(of)["command"][4] == "/ferry/env/bin/python"
    assert main(of)["command"][-4:] == ["--entry_script", "score.py", "--port", "5001"]
    assert "0.0.0.0" in main(of)["command"][6]
    assert main(of)["workingDir"] == "/var/azureml-app/onlinescoring"
    told = variables(of)
    assert told["AZUREML_MODEL_DIR"] == "/var/azureml-app/azureml-models/m/3"
    assert told["A"] == "$$(HOME) $x"
    fetched = {item["what"]: item["to"] for item in json.loads(of.plan["data"]["job.json"])["fetch"]}
    assert fetched == {"code": "azureml-app/onlinescoring", "model m:3": "azureml-app/azureml-models/m/3/model"}


def test_code_is_looked_for_before_the_program_starts():
    assert serving_plan(served(), a_cluster())["needs"] == ["azureml-app/onlinescoring/score.py"]
    assert serving_plan(served(a_revision(**CUSTOM)), a_cluster())["needs"] == []


def test_a_single_file_lies_directly_in_its_model_folder():
    plan = serving_plan(served(a_revision(model=FILE, model_name="model:m:1")), a_cluster())
    assert plan["fetch"][-1]["to"] == "azureml-app/azureml-models/m/1/m.pkl"
    assert places(a_revision(model=FILE, model_name="model:m:1")).model_file.endswith("/m/1/m.pkl")


def test_a_mount_path_takes_the_place_of_the_usual_root():
    of = made(a_revision(model=FOLDER, model_name="model:m:3", model_mount_path="/srv/models/"))
    assert variables(of)["AZUREML_MODEL_DIR"] == "/srv/models/m/3"
    mounts = {one["mountPath"]: one.get("subPath") for one in main(of)["volumeMounts"]}
    assert mounts["/srv/models"] == "job/azureml-app/azureml-models"


@pytest.mark.parametrize("path", ["/", "/etc", "/ferry/x", "/usr/lib/models", "/var/azureml-app"])
def test_a_mount_path_that_is_not_free_is_refused(path):
    with pytest.raises(Refused) as refused:
        made(a_revision(model=FOLDER, model_name="model:m:3", model_mount_path=path))
    assert refused.value.code == "BadValue"


def test_an_mlflow_model_is_served_by_the_script_beside_the_plan():
    of = made(a_revision(flavor="mlflow", code=None, scoring_script="", model=FOLDER, model_name="model:m:3"))
    assert "mlflow.pyfunc" in of.plan["data"]["ferry_mlflow_score.py"]
    assert (variables(of)["AML_APP_ROOT"], main(of)["workingDir"]) == ("/ferry-plan", "/ferry-plan")


def test_a_container_of_ones_own_stays_as_it_is():
    environment = EnvironmentOrder(key="k", image="tensorflow/serving:2", **ROUTES)
    of = made(a_revision(environment=environment, **CUSTOM), environment=None)
    assert "command" not in main(of)
    assert "workingDir" not in main(of)
    assert main(of)["livenessProbe"]["httpGet"] == {"path": "/v1/models/m", "port": 8501, "scheme": "HTTP"}
    assert main(of)["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert of.service["spec"]["ports"][0]["port"] == 8501
    assert variables(of)["PORT"] == "8501"


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("python serve.py --port ${{port}}", "exec python serve.py --port 5001"),
        ("cd /x && python serve.py", "cd /x && python serve.py"), ("A=1 python serve.py", "A=1 python serve.py"),
    ],
)  # fmt: skip
def test_a_command_hears_of_its_end_where_it_is_one_program(command, last):
    of = made(a_revision(command=command, **CUSTOM), environment=None)
    assert main(of)["command"][-1] == last
    assert "/ferry/env" not in main(of)["command"][2]


def test_triton_gets_its_repository():
    of = made(a_revision(flavor="triton", code=None, model=FOLDER, model_name="model:m:3"), environment=None)
    assert main(of)["command"][1] == "--model-repository=/var/azureml-app/azureml-models/m/3/model"
    assert main(of)["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8000, "scheme": "HTTP"}


def test_the_service_is_what_routers_look_for():
    of = made()
    assert of.service["spec"]["clusterIP"] == "None"
    assert of.service["spec"]["ports"][0]["name"] == "score"
    labels = of.service["metadata"]["labels"]
    assert (labels["ferryml.dev/kind"], labels["ferryml.dev/revision"]) == ("endpoint", "r" * 10)
    template = of.deployment["spec"]["template"]["metadata"]["labels"]
    assert of.service["spec"]["selector"].items() <= template.items()
    assert of.service["spec"]["selector"] == of.deployment["spec"]["selector"]["matchLabels"]


def test_nothing_serving_is_taken_away_before_what_replaces_it_is_ready():
    strategy = made().deployment["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_pod_ends_after_its_requests():
    slow = a_revision(request_timeout_ms=90_001)
    of = made(slow)
    assert pod(of)["terminationGracePeriodSeconds"] == grace_s(slow) == 5 + 91 + 10
    assert main(of)["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert main(made(slow, kubernetes=(1, 29)))["lifecycle"]["preStop"]["exec"]["command"][-1] == "sleep 5"


def test_a_program_may_take_its_initial_delay_and_is_ready_as_soon_as_it_answers():
    probe = {"period": 5, "initial_delay": 60, "timeout": 3, "success_threshold": 2, "failure_threshold": 4}
    of = main(made(a_revision(readiness=probe, liveness={**probe, "initial_delay": 1})))
    assert (of["startupProbe"]["periodSeconds"], of["startupProbe"]["failureThreshold"]) == (1, 80)
    assert (of["readinessProbe"]["successThreshold"], of["livenessProbe"]["successThreshold"]) == (2, 1)
    assert "initialDelaySeconds" not in of["readinessProbe"]


def test_probes_have_their_usual_times():
    of = main(made())
    assert of["startupProbe"]["failureThreshold"] == 310
    assert (of["livenessProbe"]["periodSeconds"], of["livenessProbe"]["failureThreshold"]) == (10, 30)


def test_resources_come_before_the_instance_types():
    small = {"requests": {"cpu": "200m", "memory": "200Mi"}, "limits": {"cpu": "200m", "memory": "200Mi"}}
    assert main(made(a_revision(resources=small)))["resources"] == small
    assert main(made())["resources"]["limits"] == {"cpu": "2", "memory": "2Gi"}
    with pytest.raises(Refused) as refused:
        made(a_revision(resources={**small, "limits": {"cpu": "200m", "memory": "3Gi"}}))
    assert refused.value.code == "BadArgument"
    stage = pod(made(a_revision(resources=small)))["initContainers"][0]["resources"]
    assert stage["limits"]["memory"] != "200Mi"


def test_the_instance_type_chooses_the_node():
    amounts = {"cpu": "1", "memory": "2Gi"}
    spec = {"resources": {"requests": amounts, "limits": amounts}, "nodeSelector": {"gpu": "yes"}}
    kind = read({"metadata": {"name": "gpu"}, "spec": spec})[0]
    assert pod(made(instance_type=kind))["nodeSelector"] == {"gpu": "yes"}


def test_restricted_namespaces_take_it():
    assert faults(pod(made(knobs={"pod_security": "restricted"}))) == []
    of = pod(made())
    assert of["automountServiceAccountToken"] is False
    assert not any(mount["name"] == "token" for mount in main(made())["volumeMounts"])


def test_bound_models_leave_by_no_door():
    bound = a_revision(residency={"zones": ("eu",)})
    assert made(bound).deployment["spec"]["template"]["metadata"]["labels"]["ferryml.dev/bound"] == "true"
    assert "ferryml.dev/bound" not in made().deployment["metadata"]["labels"]


def test_only_what_pods_are_made_of_makes_them_anew():
    first = order_mark(a_revision())
    assert order_mark(a_revision(instances=3, max_instances=9, request_timeout_ms=1, max_queue_wait_ms=9)) == first
    assert order_mark(a_revision(liveness={"period": 3})) != first
    assert order_mark(a_revision(environment_variables={"A": "1"})) != first


def test_images_of_ones_own_registry_are_pulled_with_the_namespaces_secret():
    of = made(knobs={"image_pull_secrets": "registry"})
    assert pod(of)["imagePullSecrets"] == [{"name": "registry"}]
    assert "imagePullSecrets" not in pod(made())


def test_of_several_pods_one_may_be_drained_and_of_one_alone_the_node_is_never_held_up():
    of = made(count=2)
    assert of.budget["spec"]["maxUnavailable"] == 1
    assert of.budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert of.budget["spec"]["selector"] == of.deployment["spec"]["selector"]
    assert of.budget["metadata"] == of.service["metadata"]
    assert made(count=1).budget is None


COLLECTS = CollectionOrder(script={"Model_Inputs": 0.5}, collections=("request",))


def test_a_script_that_collects_has_somebody_beside_it():
    of = made(a_revision(collect=COLLECTS, environment_variables={"AZUREML_MDC_PORT": "9"}))
    stage, collect = pod(of)["initContainers"]
    assert (stage["name"], collect["name"], collect["restartPolicy"]) == ("stage", "collect", "Always")
    assert not [one for one in faults(pod(of)) if not one.startswith("main ")]
    given = variables(of)
    assert given["AZUREML_MDC_CONFIG_PATH"] == "/ferry-plan/mdc-config.json"
    assert (given["AZUREML_MDC_HOST"], given["AZUREML_MDC_PORT"]) == ("127.0.0.1", "9")
    settings = json.loads(of.plan["data"]["mdc-config.json"])
    assert settings["collections"]["model_inputs"]["sampleRatePercentage"] == 50
    told = json.loads(of.plan["data"]["job.json"])["collects"]
    assert (told["uid"], told["collections"], told["partition"]) == ("endpoint.w.e", ["Model_Inputs"], "%Y/%m/%d/%H")


def test_what_routers_record_is_nothing_to_pods():
    payloads = a_revision(collect=CollectionOrder(collections=("request",)))
    assert [one["name"] for one in pod(made(payloads))["initContainers"]] == ["stage"]
    assert order_mark(payloads) == order_mark(a_revision())
    both = a_revision(collect=COLLECTS)
    assert order_mark(both) == order_mark(a_revision(collect=COLLECTS.model_copy(update={"collections": ()})))
    assert (
        len(
            {
                order_mark(one)
                for one in (both, payloads, a_revision(collect=COLLECTS.model_copy(update={"rolling": "day"})))
            }
        )
        == 3
    )


def test_a_model_that_the_site_put_in_is_none_of_the_orders():
    """Otherwise pods would be made anew whenever the agent has forgotten which it is."""
    place = DatastorePath(datastore="shelf", kind="s3", root="s3://b", path="m")
    source = a_revision(model_name="model:m:3", model_source=ModelSource(place=place, key="model:m:3"))
    found = source.model_copy(update={"model": FOLDER})
    assert order_mark(found) == order_mark(source)
    assert order_mark(source) != order_mark(a_revision(model_name="model:m:3"))
    assert json.loads(made(found).plan["data"]["job.json"])["fetch"][1]["digest"] == FOLDER.digest


def test_a_lost_nodes_pods_are_soon_made_elsewhere():
    """Sooner than a job's, which would lose work; an instance type may still say otherwise."""
    knobs = {"node_lost_s": 60, "serving_node_lost_s": 7}
    lost = [one["tolerationSeconds"] for one in pod(made(knobs=knobs))["tolerations"] if "tolerationSeconds" in one]
    assert lost == [7, 7]


def test_pods_of_a_revision_keep_apart_where_they_can():
    terms = "preferredDuringSchedulingIgnoredDuringExecution"
    own = pod(made())["affinity"]["podAntiAffinity"][terms]
    assert [one["podAffinityTerm"]["topologyKey"] for one in own] == [
        "kubernetes.io/hostname", "topology.kubernetes.io/zone",
    ]  # fmt: skip
    selector = made().deployment["spec"]["selector"]
    assert all(one["podAffinityTerm"]["labelSelector"] == selector for one in own)
    chosen = {"nodeAffinity": {}, "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    kind = BUILT_IN.model_copy(update={"spec": BUILT_IN.spec.model_copy(update={"affinity": chosen})})
    assert pod(made(instance_type=kind))["affinity"] == chosen
    less = BUILT_IN.model_copy(update={"spec": BUILT_IN.spec.model_copy(update={"affinity": {"nodeAffinity": {}}})})
    assert pod(made(instance_type=less))["affinity"].keys() == {"nodeAffinity", "podAntiAffinity"}


def test_an_image_that_was_built_for_it_runs_and_changes_no_order():
    revision = a_revision(environment=EnvironmentOrder(key="k", build=BuildOrder(context=CODE)))
    of = made(revision, image="r.local/ferry/e@sha256:1")
    assert main(of)["image"] == "r.local/ferry/e@sha256:1"
    assert of.deployment["metadata"]["annotations"][ORDER] == order_mark(revision)
