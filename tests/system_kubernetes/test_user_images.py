"""Users' images as they are: without Python, with an entrypoint, a user and a working directory of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cluster_play import World
from kubebox import images
from system_play import W, until

OWN = """FROM docker.io/library/python:3.11-slim-bookworm
RUN mkdir -p /opt/work && chmod 755 /opt/work
ENV GREETING=hello
WORKDIR /opt/work
USER 12345:54321
ENTRYPOINT ["/bin/false"]
"""
BARE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
"""


def loaded(joined: World, folder: Path, reference: str, recipe: str) -> str:
    (folder / "Containerfile").write_text(recipe)
    tar = images.build(folder / "Containerfile", folder, reference)
    for cluster, _ in joined._installed:
        cluster.load_image(tar)
    return reference


def test_entrypoint_user_and_workdir_do_not_matter(joined: World, tmp_path: Path) -> None:
    image = loaded(joined, tmp_path, "ferry-tests/own:1", OWN)
    command = (
        "id -u; echo $GREETING; pwd; touch $HOME/x && echo 1 > outputs/mine && umask 077 && echo 2 > outputs/hidden"
    )
    joined.submit("own-image", command, "team-a", environment={"name": "own", "image": image})
    job = joined.completes("own-image")
    assert joined.log("own-image").splitlines() == ["12345", "hello", "/ferry/job/code"]
    assert joined.output(job) == {"outputs/mine": b"1\n", "outputs/hidden": b"2\n"}


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no static busybox here")
def test_a_posix_shell_is_all_that_is_needed(joined: World, tmp_path: Path) -> None:
    shutil.copy(str(shutil.which("busybox")), tmp_path / "busybox")
    image = loaded(joined, tmp_path, "ferry-tests/bare:1", BARE)
    joined.submit(
        "bare", "echo plain > outputs/x; echo done; exit 3", "team-a", environment={"name": "b", "image": image}
    )
    job = joined.settles("bare")
    assert (job["status"], job["ferry"]["exit_code"], joined.log("bare")) == ("Failed", 3, "done\n")
    assert joined.output(job) == {"outputs/x": b"plain\n"}


def test_what_needs_too_much_memory_is_named(joined: World) -> None:
    command = 'echo before; python -c "b = []\nwhile True: b.append(bytearray(50 << 20))"'
    resources = {"instance_type": "small"}
    for cluster, _ in joined._installed:
        cluster.apply(
            {
                "apiVersion": "ferryml.dev/v1alpha1", "kind": "InstanceType", "metadata": {"name": "small"},
                "spec": {"resources": {"requests": {"cpu": "100m", "memory": "64Mi"},
                                       "limits": {"cpu": "1", "memory": "128Mi"}}},
            }
        )  # fmt: skip
    until(lambda: "small" in str(joined.get(f"{W}/computes/team-a")), 90, joined.tail)
    joined.submit("greedy", command, "team-a", resources=resources)
    job = joined.settles("greedy", within_s=180)
    assert (job["status"], job["ferry"]["code"]) == ("Failed", "OutOfMemory")
    assert joined.log("greedy").startswith("before\n")
