"""A folder becomes an image that says what is in it."""

import hashlib
import json
import tarfile

from kubebox.images import archive, mirror_in, references


def test_a_folder_becomes_a_docker_archive(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/program").write_text("#!/bin/sh\n")
    made = archive(tmp_path / "root", "docker.io/library/thing:1", tmp_path / "thing.tar", ["/program"])
    with tarfile.open(made) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        config = json.load(tar.extractfile(manifest["Config"]))
        layer = tar.extractfile(manifest["Layers"][0]).read()
    assert manifest["RepoTags"] == references(made) == ["docker.io/library/thing:1"]
    assert config["config"]["Cmd"] == ["/program"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "thing.tar"]


def test_an_archive_of_another_kind_names_nothing(tmp_path):
    with tarfile.open(tmp_path / "oci.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("oci-layout"))
    assert references(tmp_path / "oci.tar") == []


def test_the_mirror_is_the_one_apt_uses():
    deb822 = "Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian\nSuites: bookworm\n"
    lines = "deb http://security.example/debian-security b main\ndeb [arch=amd64] https://m.example/debian b main\n"
    assert mirror_in(deb822) == ["http://mirror.example/debian"]
    assert mirror_in(lines) == ["https://m.example/debian"]
    assert mirror_in("") == []
