"""Environments that are made ahead: a job that runs nothing."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import assets, environment_builds
from ferryml.domain.errors import FerryError
from site_answers import a_cluster, attach, told

FILES = {"Dockerfile": b"FROM a\n", "x/y.txt": b"y"}
IMAGE = "r.local/ferry/built@sha256:" + "d" * 64


@pytest.fixture
def cluster(play):
    """A site that builds, with the compute k1; `builds` is what it says of itself."""
    a_cluster(play, "cloud", builds=True)
    attach(play, "k1", "cloud")
    return play


def registered(play, **fields):
    path = f"content:tree:{play.folder(FILES).digest}:ctx"
    document = {"name": "built", "build": {"path": path}, **fields}
    return assets.create(play.deps, OWNER, WORKSPACE, "environment", document)


def build(play, compute="k1"):
    return environment_builds.build(play.deps, OWNER, WORKSPACE, "built", "@latest", compute)


def test_it_is_a_job_that_only_prepares(cluster):
    registered(cluster)
    job = build(cluster)
    cluster.turns()
    (wish,) = [one for one in cluster.wishes("cloud").wishes if one.order is not None]
    assert wish.order.prepare_only
    assert wish.order.environment.build.dockerfile == "Dockerfile"
    assert job["display_name"] == "build of built:1"


def test_what_the_site_built_is_shown_with_the_version(cluster):
    registered(cluster)
    name = build(cluster)["name"]
    cluster.turns()
    cluster.reports("cloud", name, "Completed", environment_image=IMAGE)
    cluster.turns()
    shown = assets.show(cluster.deps, OWNER, WORKSPACE, "environment", "built", "1")
    assert shown["ferry"]["images"] == {"cloud": IMAGE}


def test_a_site_that_builds_nothing_is_refused_with_the_setting(cluster):
    registered(cluster)
    told(cluster, "cloud", builds=False)
    with pytest.raises(FerryError) as caught:
        build(cluster)
    assert caught.value.code == "BuildsDisabled"
    assert "FERRY_CLUSTER_BUILD_REGISTRY" in caught.value.hint


def test_a_local_site_runs_no_images(play):
    play.site("laptop", compute="c9")
    registered(play)
    with pytest.raises(FerryError) as caught:
        build(play, "c9")
    assert caught.value.code == "NotSupported"


def test_packages_are_prepared_ahead_anywhere(play):
    play.site("laptop", compute="c9")
    assets.create(play.deps, OWNER, WORKSPACE, "environment", {"name": "built", "pip_requirements": ["numpy"]})
    assert build(play, "c9")["compute"] == "c9"


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"path": "/srv/ctx"}, "BadReference"),
        ({"path": "{tree}", "dockerfile_path": "other/Dockerfile"}, "FileNotFound"),
        ({"path": "{tree}", "dockerfile_path": "../Dockerfile"}, "FileNotFound"),
        ({"path": "https://example.org/x.git"}, "BadReference"),
        ({"path": "content:tree:sha256:" + "0" * 64 + ":ctx"}, "BlobMissing"),
    ],
)
def test_a_folder_that_cannot_be_built_is_refused_when_it_is_registered(play, spec, code):
    tree = f"content:tree:{play.folder(FILES).digest}:ctx"
    with pytest.raises(FerryError) as caught:
        registered(play, build={**spec, "path": spec["path"].replace("{tree}", tree)})
    assert caught.value.code == code
