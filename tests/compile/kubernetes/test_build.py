import json

import pytest

from ferryml.compile.environment import environment_order, image_order, on_image
from ferryml.compile.kubernetes.build import ImageBuild, image_name, make_build
from ferryml.domain.errors import Refused
from ferryml.domain.orders import BuildOrder, TreeRef
from pod_security import faults
from pod_things import a_cluster

CONTEXT = TreeRef(digest="sha256:" + "c" * 64)
BUILD = BuildOrder(context=CONTEXT, dockerfile="docker/Dockerfile")
KNOBS = {"build_registry": "r.local:5000/team", "build_secret": "push"}


def an_order(name="environment:My Env:3"):
    return image_order(environment_order(name=name, build=BUILD, pip_requirements=["server"]))


def pod_of(**knobs):
    made = make_build(ImageBuild(an_order()), a_cluster(**{**KNOBS, **knobs}))
    return made, made.job["spec"]["template"]["spec"]


def containers(pod):
    return {one["name"]: one for one in (*pod["initContainers"], *pod["containers"])}


def mounts(container):
    return {one["name"]: one for one in container["volumeMounts"]}


def test_the_image_is_named_by_environment_and_content():
    order = an_order()
    assert image_name(order, a_cluster(**KNOBS)) == f"r.local:5000/team/ferry/my-env:{order.key[:20]}"
    assert "/ferry/anonymous:" in image_name(an_order(""), a_cluster(**KNOBS))
    other = environment_order(build=BUILD.model_copy(update={"dockerfile": "Dockerfile"}))
    assert image_order(other).key != order.key


def test_what_goes_on_top_does_not_change_the_image():
    plain, more = environment_order(build=BUILD), environment_order(build=BUILD, pip_requirements=["a"])
    assert image_order(plain).key == image_order(more).key == plain.key
    assert on_image(more, "r/x@sha256:1").pip == ("a",)
    assert on_image(plain, "r/x@sha256:1").key != on_image(plain, "r/x@sha256:2").key
    assert environment_order(image="x").key == environment_order(image="x", build=None).key


def test_the_container_that_runs_commands_has_no_password_and_no_token():
    _, pod = pod_of(build_ca_pem="PEM")
    here = containers(pod)
    assert list(here) == ["stage", "collect", "pull", "build", "main"]
    assert {name for name, one in here.items() if "auth" in mounts(one)} == {"pull", "main"}
    assert {name for name, one in here.items() if "token" in mounts(one)} == {"stage", "collect"}
    assert not [one for one in here["build"]["env"] if one["name"] == "REGISTRY_AUTH_FILE"]
    # nothing that a container with the password executes or writes is open to the one that runs commands
    assert set(mounts(here["build"])) & set(mounts(here["main"])) == {"work", "plan", "certificates"}
    assert mounts(here["main"])["work"]["readOnly"]
    assert mounts(here["build"])["ferry"]["readOnly"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "ferry-build"


def test_only_what_runs_buildah_leaves_the_restricted_level():
    _, pod = pod_of()
    assert {fault.split()[0] for fault in faults(pod)} == {"pull", "build"}
    said = containers(pod)["build"]["securityContext"]
    assert said["capabilities"] == {"drop": ["ALL"], "add": ["SETGID", "SETUID"]}
    assert (said["runAsNonRoot"], said["runAsUser"], said["privileged"]) == (True, 1000, False)
    assert "hostUsers" not in pod
    assert pod_of(build_user_namespaces=True)[1]["hostUsers"] is False


def test_apparmor_is_said_as_the_cluster_understands_it():
    made, pod = pod_of(kubernetes=(1, 34))
    assert containers(pod)["build"]["securityContext"]["appArmorProfile"] == {"type": "Unconfined"}
    made, pod = pod_of(kubernetes=(1, 29))
    assert "appArmorProfile" not in containers(pod)["build"]["securityContext"]
    notes = made.job["spec"]["template"]["metadata"]["annotations"]
    assert notes["container.apparmor.security.beta.kubernetes.io/build"] == "unconfined"


def test_it_is_limited_and_ends_by_itself():
    made, pod = pod_of(build_timeout_s=60, build_memory="2Gi", build_storage="5Gi")
    assert made.job["spec"]["activeDeadlineSeconds"] == 60
    assert made.job["spec"]["backoffLimit"] == 0
    assert containers(pod)["build"]["resources"]["limits"] == {"memory": "2Gi", "ephemeral-storage": "5Gi"}
    assert {"name": "work", "emptyDir": {"sizeLimit": "5Gi"}} in pod["volumes"]


def test_the_plan_brings_the_folder_and_holds_no_secret():
    made, _ = pod_of(build_insecure=True, image_registry="mirror", build_ca_pem="CA")
    config = made.objects[0]
    plan = json.loads(config["data"]["job.json"])
    assert plan["uid"] == f"image.{'c' * 64}.{an_order().key}"
    assert [item["digest"] for item in plan["fetch"]] == [CONTEXT.digest]
    assert plan["build"]["dockerfile"] == "docker/Dockerfile"
    assert plan["build"]["insecure"] == ["r.local:5000"]
    assert config["data"]["registry-ca.pem"] == "CA"
    assert {body["metadata"]["namespace"] for body in made.objects} == {"ferry-builds"}


def test_a_proxy_is_for_all_but_the_registry():
    _, pod = pod_of(build_proxy="http://proxy:3128")
    said = {one["name"]: one["value"] for one in containers(pod)["pull"]["env"]}
    assert (said["https_proxy"], said["NO_PROXY"]) == ("http://proxy:3128", "127.0.0.1,localhost,.svc,r.local")


def test_without_a_password_none_is_looked_for():
    _, pod = pod_of(build_secret="")
    assert not [one for one in pod["volumes"] if one["name"] == "auth"]
    assert "auth" not in mounts(containers(pod)["pull"])


@pytest.mark.parametrize(("registry", "code"), [("", "BuildsDisabled"), ("team/images", "BadValue")])
def test_a_site_without_a_registry_says_so(registry, code):
    with pytest.raises(Refused) as caught:
        pod_of(build_registry=registry)
    assert caught.value.code == code
    assert caught.value.hint
