"""Images that a cluster builds: once for each content, under the grant of who asked first, as the kubelet tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ferryml.backends.kubernetes.kinds import JOBS
from ferryml.backends.kubernetes.kube import Manifest, labels_of
from ferryml.compile.environment import environment_order, image_order, on_image
from ferryml.compile.kubernetes.build import image_name
from ferryml.compile.kubernetes.names import build_name, build_uid, preparation_name
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.orders import BuildOrder, EnvironmentOrder, TreeRef
from kube_jobs_play import BUILDS, ENVIRONMENTS, PlayCluster
from kube_play import AT
from site_play import a_job

CONTEXT = TreeRef(digest="sha256:" + "c" * 64)
ENV = environment_order(name="environment:e:1", build=BuildOrder(context=CONTEXT))
KEY, UID, NAME = ENV.key, build_uid(ENV), build_name(ENV.key)
DIGEST = "sha256:" + "d" * 64
LOG = "system_logs/environment.log"


@pytest.fixture
def site() -> Iterator[PlayCluster]:
    made = PlayCluster(build_registry="r.local:5000", build_secret="push")
    yield made
    made.close()


def image(cluster: PlayCluster) -> str:
    return f"{image_name(ENV, cluster.knobs).rpartition(':')[0]}@{DIGEST}"


def the_build(cluster: PlayCluster) -> Manifest:
    job = cluster.kube.get(JOBS, BUILDS, NAME)
    assert job is not None
    return job


def container(name: str, exit_code: int | None = None, reason: str = "", **said: str) -> Manifest:
    """Running, or ended with these last words."""
    if exit_code is None:
        return {"name": name, "state": {"running": {"startedAt": AT}}}
    message = json.dumps(said) if said else ""
    over = {"exitCode": exit_code, "reason": reason, "startedAt": AT, "finishedAt": AT, "message": message}
    return {"name": name, "state": {"terminated": over}}


def steps(*inits: Manifest, main: Manifest | None = None, phase: str = "Pending", **more: Any) -> dict[str, Any]:
    mains = [main] if main is not None else []
    return {"phase": phase, "initContainerStatuses": list(inits), "containerStatuses": mains, **more}


def pushed(said: str) -> dict[str, Any]:
    done = [container(name, 0) for name in ("stage", "pull", "build")]
    return steps(*done, main=container("main", 0, "Completed", image=said), phase="Succeeded")


def broken(name: str, exit_code: int = 1, reason: str = "Error", **said: str) -> dict[str, Any]:
    return steps(container("stage", 0), container(name, exit_code, reason, **said), phase="Failed")


def test_it_is_built_once_and_then_known(site: PlayCluster) -> None:
    for uid in ("job.w.a", "job.w.b"):
        site.jobs.prepare(ENV, uid, "grant")
    job = the_build(site)
    attempt = int(labels_of(job)["ferryml.dev/attempt"])
    assert site.door.admitted == [(UID, attempt, BUILDS, f"{NAME}-", "build")]
    site.pod(job, **steps(container("stage", 0), container("collect"), container("pull")))
    assert site.jobs.environment(KEY).progress == "pulling the base images"
    site.pod(job, **pushed(image(site)))
    seen = site.jobs.environment(KEY)
    assert (seen.state, seen.image) == ("ready", image(site))
    assert site.jobs.environments.archive(KEY) is None
    assert site.kube.get(JOBS, BUILDS, NAME) is None
    assert site.door.images == {KEY: image(site)}
    site.jobs.prepare(ENV, "job.w.c", "grant")
    assert len(site.door.admitted) == 1


def test_what_the_gateway_remembers_is_not_built_again(site: PlayCluster) -> None:
    site.door.images[KEY] = image(site)
    site.jobs.prepare(ENV, "job.w.a", "grant")
    assert site.jobs.environment(KEY).image == image(site)
    assert site.kube.log == []


def test_the_log_is_told_as_it_grows_to_everyone_who_waits(site: PlayCluster) -> None:
    site.jobs.prepare(ENV, "job.w.a", "grant")
    job = the_build(site)
    site.pod(job, **steps(container("stage", 0), container("pull", 0), container("build")))
    place = (BUILDS, f"{NAME}-0-abcde", "build")
    site.kube.pod_logs[place] = b"STEP 1\n"
    assert site.jobs.environment(KEY).progress == "building the image"
    site.jobs.prepare(ENV, "job.w.b", "grant")
    site.clock.passes(3)
    site.kube.pod_logs[place] = b"STEP 1\nSTEP 2\n"
    site.jobs.environment(KEY)
    site.pod(job, **pushed(image(site)))
    site.kube.pod_logs[place[0], place[1], "main"] = b"pushed\n"
    site.jobs.environment(KEY)
    told = {uid: site.door.logs[uid, LOG] for uid in ("job.w.a", "job.w.b")}
    assert set(told.values()) == {b"STEP 1\nSTEP 2\npushed\n"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (broken("build", code="ImageBuildFailed", message="the build failed at STEP 2; no"), "failed at STEP 2; no"),
        (broken("build", 137, "OOMKilled"), "OOMKilled: building the image took more memory"),
        (broken("pull", 2), "pulling the base images ended with exit code 2: Error"),
        (steps(main=container("main", 1, "Error", message="pushing x failed"), phase="Failed"), "pushing x failed"),
        (pushed("evil.local/x@" + DIGEST), "what was pushed calls itself 'evil.local/x@sha256:dd"),
        (pushed(""), "the build ended with 0"),
    ],
)  # fmt: skip
def test_a_failure_says_why_and_is_tried_again_when_asked(
    site: PlayCluster, status: dict[str, Any], words: str
) -> None:
    site.jobs.prepare(ENV, "job.w.a", "grant")
    site.pod(the_build(site), **status)
    seen = site.jobs.environment(KEY)
    assert (seen.state, seen.code) == ("failed", "ImageBuildFailed")
    assert words in seen.message
    assert site.door.images == {}
    site.clock.passes(5)
    site.jobs.prepare(ENV, "job.w.b", "grant")
    assert site.jobs.environment(KEY).state == "making"


def test_one_that_takes_too_long_says_so(site: PlayCluster) -> None:
    site.jobs.prepare(ENV, "job.w.a", "grant")
    job = the_build(site)
    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}
    site.write(job)
    assert "took longer than 3600 s" in site.jobs.environment(KEY).message


def test_a_machine_that_was_lost_is_not_the_dockerfiles_fault(site: PlayCluster) -> None:
    for _ in range(3):
        site.clock.passes(1)
        site.jobs.prepare(ENV, "job.w.a", "grant")
        site.pod(the_build(site), phase="Failed", reason="Evicted", message="low on disk")
        assert site.jobs.environment(KEY).state == "absent"
    site.clock.passes(1)
    site.jobs.prepare(ENV, "job.w.a", "grant")
    site.pod(the_build(site), phase="Failed", reason="Evicted", message="low on disk")
    assert site.jobs.environment(KEY).message == "Evicted: low on disk"


def test_a_build_survives_the_agent(site: PlayCluster) -> None:
    site.jobs.prepare(ENV, "job.w.a", "grant")
    again = site.preparations()
    assert again.environment(KEY).state == "absent"
    again.prepare(ENV, "job.w.a", "grant")
    assert again.environment(KEY).state == "making"
    assert len(site.door.admitted) == 1


def test_a_gateway_that_is_away_is_waited_for_in_words(site: PlayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: str) -> str:
        raise Unavailable("Unavailable", "it did not answer")

    site.jobs.prepare(ENV, "job.w.a", "grant")
    monkeypatch.setattr(site.door, "keep_built", away)
    site.pod(the_build(site), **pushed(image(site)))
    assert site.jobs.environment(KEY).progress == "waiting for the site's gateway: it did not answer"
    monkeypatch.undo()
    assert site.jobs.environment(KEY).state == "ready"
    site.clock.passes(31)
    monkeypatch.setattr(site.door, "built", away)
    assert site.jobs.environment(KEY).state == "making"
    with pytest.raises(Unavailable):
        site.jobs.environments.image(KEY)


def test_packages_go_on_top_once_the_image_is_there(site: PlayCluster) -> None:
    env: EnvironmentOrder = environment_order(build=BuildOrder(context=CONTEXT), pip_requirements=["server"])
    assert image_order(env).key != env.key
    site.jobs.prepare(env, "endpoint.w.e", "grant")
    assert site.jobs.environment(env.key).state == "making"
    anonymous = f"{image_name(image_order(env), site.knobs).rpartition(':')[0]}@{DIGEST}"
    site.pod(site.kube.get(JOBS, BUILDS, build_name(image_order(env).key)) or {}, **pushed(anonymous))
    assert site.jobs.environment(env.key).state == "absent"
    site.jobs.prepare(env, "endpoint.w.e", "grant")
    assert site.jobs.environment(env.key).state == "making"
    rest = on_image(env, anonymous)
    job = site.kube.get(JOBS, ENVIRONMENTS, preparation_name(rest.key))
    assert job is not None
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == anonymous
    site.door.environments[rest.key] = {"digest": DIGEST, "size": 1}
    site.clock.passes(31)
    archive = site.jobs.environments.archive(env.key)
    assert archive is not None
    assert archive.digest == DIGEST
    assert site.jobs.environments.image(env.key) == anonymous


def test_a_job_runs_in_it(site: PlayCluster) -> None:
    site.door.images[KEY] = image(site)
    site.launch(a_job(namespace="team", environment=ENV))
    assert site.job()["spec"]["template"]["spec"]["containers"][0]["image"] == image(site)


def test_a_site_without_a_registry_refuses(cluster: PlayCluster) -> None:
    with pytest.raises(Refused) as caught:
        cluster.jobs.prepare(ENV, "job.w.a", "grant")
    assert caught.value.code == "BuildsDisabled"
