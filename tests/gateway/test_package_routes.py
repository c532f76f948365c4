from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_gateway_play import PlayClusterGateway
from package_index import Index
from server_play import PlayServer
from wheel_play import a_wheel


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    a_wheel(tmp_path / "wheels", "alpha")
    index = Index(tmp_path / "wheels")
    yield index
    index.close()


@pytest.fixture
def gateway(tmp_path: Path, play_server: PlayServer, index: Index) -> Iterator[PlayClusterGateway]:
    play = PlayClusterGateway(tmp_path, play_server, package_index=index.url("127.0.0.1"))
    yield play
    play.close()


def test_pods_read_pages_and_files_of_the_index(gateway: PlayClusterGateway, index: Index, tmp_path: Path) -> None:
    gateway.admit()
    pod = gateway.pod()
    page = pod.get("/v1/packages/simple/alpha/")
    assert page.headers["content-type"].startswith("text/html")
    link = re.findall(r'href="([^"#]+)', page.text)[0]
    head = pod.head(link)
    data = (tmp_path / "wheels/alpha-1.0-py3-none-any.whl").read_bytes()
    assert (head.headers["content-length"], head.content) == (str(len(data)), b"")
    assert pod.get(link).content == data
    part = pod.get(link, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, data[2:6])
    assert pod.get("/v1/packages/simple/nothing/").status_code == 404
    assert pod.get("/v1/conda").json() == {"channel": False}
    assert pod.get("/v1/conda/x/noarch/repodata.json").json()["error"]["code"] == "NotSupported"


def test_strangers_read_nothing(gateway: PlayClusterGateway, index: Index) -> None:
    for path in ("/v1/packages/simple/alpha/", "/v1/packages/files/a/b/c", "/v1/conda/a/b"):
        assert gateway.pod("stranger").get(path).status_code == 401
    assert index.asked == []
