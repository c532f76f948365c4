"""Ferry's images: built from Containerfiles, small, nobody's root, and with nothing of this machine in them."""

import json
import subprocess
import sys
import tarfile

import images
import pytest


@pytest.fixture(scope="module")
def tar(component):
    component("buildah")
    component("kubernetes")
    import kubebox_images

    return kubebox_images.build


def configuration(archive):
    with tarfile.open(archive) as whole:
        manifest = json.load(whole.extractfile("manifest.json"))[0]
        return manifest["RepoTags"], json.load(whole.extractfile(manifest["Config"]))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "most_mb"), [("agent", 260), ("runner", 230)])
def test_an_image_says_who_it_is_and_no_more(tar, name, most_mb):
    archive = tar(name)
    tags, said = configuration(archive)
    assert tags == [images.reference(name)]
    assert said["config"]["User"] == "65532:65532"
    assert archive.stat().st_size < most_mb * 1_000_000
    history = json.dumps(said["history"]) + json.dumps(said["config"])
    for line in subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout.split("'"):
        assert "://" not in line or line not in history
    assert "index-url" not in history


@pytest.mark.timeout(900)
def test_what_did_not_change_is_not_built_again(tar):
    first = tar("runner")
    made = first.stat().st_mtime_ns
    assert tar("runner") == first
    assert first.stat().st_mtime_ns == made
