import json
import os
import stat
import sys

import pytest

from ferryml.runner.build import MOST, main, reason_of, registries, source_of

DIGEST = "sha256:" + "a" * 64
TOOL = """#!{python}
import json, os, sys
with open({log!r}, "a") as file:
    told = {{key: os.environ.get(key) for key in ("HOME", "STORAGE_DRIVER", "CONTAINERS_REGISTRIES_CONF")}}
    file.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], told]) + "\\n")
for argument in sys.argv:
    if argument.startswith("--digestfile="):
        open(argument.partition("=")[2], "w").write({digest!r})
print("STEP 2/2: RUN false")
print("ValueError: no good", file=sys.stderr)
sys.exit(int({verb!r} in sys.argv))
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder, and programs under the names of buildah and skopeo that write down how they were called."""
    for name in ("bin", "context", "work", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM python:3.11\nCOPY --from=r.local/t:1 /a /b\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    umask = os.umask(0o022)

    def tools(fails="", digest=DIGEST):
        for name in ("buildah", "skopeo"):
            tool = tmp_path / "bin" / name
            text = TOOL.format(python=sys.executable, log=str(tmp_path / "calls"), verb=fails, digest=digest)
            tool.write_text(text)
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        return tmp_path

    yield tools
    os.umask(umask)


def told(folder, **more):
    return {
        "context": str(folder / "context"), "dockerfile": "Dockerfile", "image": "r.local:5000/ferry/e:1",
        "aliases": {}, "image_registry": "", "insecure": [], "certificates": "", "index": "http://127.0.0.1:1/simple/",
        "tmp": str(folder / "tmp"), **more,
    }  # fmt: skip


def run(folder, verb, **more):
    code = main(verb, {"build": told(folder, **more)}, str(folder / "work"), str(folder / "words"))
    text = (folder / "words").read_text()
    return code, json.loads(text) if text else {}


def calls(folder):
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def test_base_images_are_pulled_and_named_as_the_dockerfile_does(world):
    folder = world()
    assert run(folder, "pull", image_registry="mirror.local") == (0, {})
    done = [(call[1][6], call[1][7:]) for call in calls(folder)]
    assert done == [
        ("pull", ["mirror.local/python:3.11"]),
        ("tag", ["mirror.local/python:3.11", "docker.io/library/python:3.11"]),
        ("pull", ["r.local/t:1"]),
    ]
    assert calls(folder)[0][2]["STORAGE_DRIVER"] == "vfs"
    assert calls(folder)[0][2]["HOME"].startswith(str(folder / "work"))


def test_a_build_is_isolated_and_has_packages_through_the_gateway(world):
    folder = world()
    assert run(folder, "build", certificates="/certs") == (0, {})
    (_, build, _), (_, push, _) = calls(folder)
    assert build[build.index("--isolation") + 1] == "chroot"
    assert "--cert-dir=/certs" in build
    assert (folder / "work" / "pip.conf").read_text().splitlines()[1] == "index-url = http://127.0.0.1:1/simple/"
    assert f"{folder / 'work' / 'pip.conf'}:/etc/pip.conf:ro" in build
    assert push[-1].startswith("docker-archive:")


def test_pushing_tells_the_digest(world):
    folder = world()
    assert run(folder, "push", insecure=["r.local:5000"]) == (0, {"image": f"r.local:5000/ferry/e@{DIGEST}"})
    ((program, argv, _),) = calls(folder)
    assert (program, argv[-1]) == ("skopeo", "docker://r.local:5000/ferry/e:1")
    assert "--dest-tls-verify=false" in argv


def test_a_password_that_is_not_there_is_said(world, monkeypatch):
    folder = world()
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(folder / "none"))
    code, said = run(folder, "pull")
    assert code == 1
    assert "build_secret" in said["message"]
    assert not (folder / "calls").exists()


def test_pushing_without_a_digest_is_a_failure(world):
    code, said = run(world(digest="what"), "push")
    assert (code, said["code"]) == (1, "ImageBuildFailed")


@pytest.mark.parametrize(
    ("verb", "step"),
    [("pull", "pulling the base image python:3.11 failed"), ("build", "the build failed at STEP 2/2: RUN false")],
)
def test_a_failure_says_its_step_and_first_error_lines(world, verb, step):
    code, said = run(world(fails=verb), verb)
    assert (code, said["code"]) == (1, "ImageBuildFailed")
    assert said["message"].startswith(step)
    assert "ValueError: no good" in said["message"]


def test_last_words_fit(world, tmp_path):
    folder = world(fails="build")
    (folder / "bin" / "buildah").write_text(f"#!{sys.executable}\nprint('error \\u00fc' * 900)\nraise SystemExit(1)\n")
    code, said = run(folder, "build")
    assert code == 1
    assert said["message"]
    assert len((folder / "words").read_bytes()) <= MOST


def test_where_images_come_from_instead():
    known = {"aliases": {"mcr.io/a:*": "r.local/b:*", "x:1": "y:2"}, "image_registry": "reg.local/p/"}
    assert source_of("mcr.io/a:7", known) == "r.local/b:7"
    assert source_of("x:1", known) == "y:2"
    assert source_of("team/z", known) == "reg.local/p/team/z"
    assert source_of("ghcr.io/z", known) == "ghcr.io/z"


def test_only_the_named_registry_may_speak_plainly():
    text = registries({"insecure": ['r.local:5000"\nx = "']})
    assert text.count("insecure = true") == 1
    assert 'location = "r.local:5000\\"\\nx = \\""' in text
    assert "insecure" not in registries({"insecure": []})


def test_worthless_lines_are_left_out(tmp_path):
    log = tmp_path / "log"
    log.write_text("STEP 1/2: FROM a\nSTEP 2/2: RUN x\nfatal: it broke\nError: exit status 1\n")
    assert reason_of(str(log), "the build") == "the build failed at STEP 2/2: RUN x; fatal: it broke"
    assert reason_of(str(tmp_path / "none"), "the build") == "the build failed"
