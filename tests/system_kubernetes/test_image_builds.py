"""Images that a cluster builds for environments: what a Dockerfile can do there, and what it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from image_build_play import BUILDS, LOG, NAMESPACE, Building, installed
from serving_cluster_play import Serving
from system_play import until

pytestmark = pytest.mark.timeout(420)
SPY = """
import os
os.mkdir("/out")
top = os.open("/", os.O_RDONLY)
os.chroot("/out")
os.fchdir(top)
for _ in range(64):
    os.chdir("..")
os.chroot(".")
seen = sorted(os.listdir("/"))
print("outside:", "ferry-build" in seen, "plan:", "ferry-plan" in seen)
print("password:", os.path.exists("/ferry-auth"), "token:", os.path.exists("/ferry-token"))
for top in [name for name in seen if name.startswith("ferry")]:
    for folder, inner, names in os.walk("/" + top):
        inner[:] = [name for name in inner if name not in ("storage", "mnt")]
        for path in [os.path.join(folder, name) for name in names]:
            if os.path.isfile(path) and os.access(path, os.R_OK) and WANTED in open(path, "rb").read():
                print("found in", path)
print("account:", os.path.exists("/var/run/secrets/kubernetes.io"), "environment:", WANTED.decode() in str(os.environ))
"""
SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open("/opt/greeting.txt", "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()
http.server.HTTPServer(("", 5001), Handler).serve_forever()
"""
ROUTE = {"path": "/", "port": 5001}
ROUTES = {"inference_config": {"liveness_route": ROUTE, "readiness_route": ROUTE, "scoring_route": ROUTE}}


@pytest.fixture(scope="module")
def site(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    with installed(clusters, component, tmp_path_factory.mktemp("builds")) as made:
        yield made


def test_a_folder_becomes_an_image_once(site: Building) -> None:
    dockerfile = """
    COPY greeting.txt server.py /opt/
    RUN pip install --quiet six && python -c 'import six; print("six", six.__version__)'
    RUN chown 1:1 /opt/greeting.txt
    CMD ["python", "/opt/server.py"]
    """
    context = site.folder("hello", dockerfile, greeting_txt="made here\n", server_py=SERVER)
    (context / ".dockerignore").write_text("secret.txt\n")
    (context / "secret.txt").write_text("of mine\n")
    site.environment("hello", context, **ROUTES)
    world = site.world
    world.submit(
        "first",
        "cat /opt/greeting.txt; stat -c %u /opt/greeting.txt; ls /opt",
        NAMESPACE,
        environment="azureml:hello:1",
    )
    world.completes("first", within_s=180)
    assert world.log("first").split() == ["made", "here", "1", "greeting.txt", "server.py"]
    assert "six 1." in world.log("first", LOG)
    image = site.shown("hello")["ferry"]["images"]["cloud"]
    assert image.startswith(f"{site.address}/ferry/hello@sha256:")
    # the same bytes under another version, and the same version again
    site.environment("hello", context, "2")
    world.submit("second", "cat /opt/greeting.txt", NAMESPACE, environment="azureml:hello:2")
    world.completes("second")
    assert (site.builds(), site.shown("hello", "2")["ferry"]["images"]["cloud"]) == (1, image)
    pods = site.cluster.kubectl("get", "pods", "-n", NAMESPACE, "-o", "jsonpath={.items[*].spec.containers[*].image}")
    assert set(pods.split()) == {image}


def test_a_deployment_runs_it(site: Building) -> None:
    serving = Serving(site.world, site.cluster, site.world.folder)
    serving.endpoint("greeter")
    serving.deploy(serving.document("greeter", environment="azureml:hello:1"))
    site.world.ferry("online-endpoint", "update", "-n", "greeter", "--traffic", "blue=100")
    assert serving.answer("greeter", {}).text == "made here\n"
    assert site.builds() == 1


def test_a_script_imports_what_the_image_has(site: Building) -> None:
    """The inference server comes on top, from the site's index."""
    serving = Serving(site.world, site.cluster, site.world.folder)
    serving.endpoint("scorer")
    score = "import six\ndef init(): pass\ndef run(raw): return open('/opt/greeting.txt').read() + six.__name__\n"
    serving.deploy(serving.document("scorer", score=score, environment="azureml:hello:2"))
    site.world.ferry("online-endpoint", "update", "-n", "scorer", "--traffic", "blue=100")
    assert serving.answer("scorer", {}).json() == "made here\nsix"
    assert site.builds() == 1


def test_commands_see_no_password_and_no_token(site: Building) -> None:
    half = len(site.secret) // 2
    wanted = f"WANTED = {site.secret[:half]!r}.encode() + {site.secret[half:]!r}.encode()\n"
    context = site.folder("spy", "COPY spy.py /\nRUN python /spy.py", spy_py=wanted + SPY)
    site.environment("spy", context)
    said = site.world.ferry("environment", "build", "-n", "spy", "-v", "1", "--compute", NAMESPACE)
    assert "outside: True plan: True" in said, "the spy did not get out, so it proves nothing"
    assert "password: False token: False" in said
    assert "account: False environment: False" in said
    assert "found in" not in said
    assert site.secret not in said


def test_a_command_that_fails_is_the_jobs_reason(site: Building) -> None:
    context = site.folder("broken", "RUN echo 'ModuleNotFoundError: no numpy here' >&2; exit 7")
    site.environment("broken", context)
    site.world.submit("broken", "true", NAMESPACE, environment="azureml:broken:1")
    job = site.world.settles("broken")
    ferry = job["ferry"]
    assert (job["status"], ferry["code"]) == ("Failed", "ImageBuildFailed")
    assert "ModuleNotFoundError: no numpy here" in ferry["reason"]
    assert ferry["findings"][0]["check"] == "build.command"
    until(lambda: "ModuleNotFoundError" in site.world.log("broken", LOG), 30, site.world.tail)


def test_a_base_image_that_is_not_there_is_named(site: Building) -> None:
    context = site.world.folder / "nowhere"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {site.address}/team/nothing:1\n")
    site.environment("nowhere", context)
    site.world.submit("nowhere", "true", NAMESPACE, environment="azureml:nowhere:1")
    ferry = site.world.settles("nowhere", "Failed")["ferry"]
    assert ferry["code"] == "ImageBuildFailed"
    assert "team/nothing:1" in ferry["reason"]
    assert ferry["findings"][0]["check"] == "build.base"


def test_who_waits_may_be_canceled(site: Building) -> None:
    context = site.folder("long", "RUN sleep 300")
    site.environment("long", context)
    site.world.submit("long", "true", NAMESPACE, environment="azureml:long:1")
    until(lambda: "building the image" in site.world.job("long")["ferry"]["reason"], 60, site.world.tail)
    site.world.ferry("job", "cancel", "-n", "long")
    assert site.world.settles("long", within_s=30)["status"] == "Canceled"
    site.cluster.kubectl("delete", "jobs", "--all", "-n", BUILDS)
