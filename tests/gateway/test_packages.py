from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryml.domain.errors import Forbidden, NotFound, Refused, Unavailable
from ferryml.gateway.links import Linked, Links
from ferryml.gateway.packages import Found, Packages
from ferryml.gateway.upstream import Upstream
from ferryml.sdk.wire import Route
from gateway_play import PlayPlace
from package_index import Index
from wheel_play import a_wheel


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    a_wheel(tmp_path / "wheels", "alpha")
    index = Index(tmp_path / "wheels")
    yield index
    index.close()


@pytest.fixture
def packages(gateway: PlayPlace, index: Index) -> Iterator[Packages]:
    upstream, links = Upstream(Route("")), Links(b"s", "/f")
    url = index.url("127.0.0.1")
    yield Packages(gateway.db, gateway.store, upstream, links, url, url.replace("/simple", "/files"))
    upstream.close()


def parts(packages: Packages, project: str = "alpha") -> tuple[str, str, str]:
    body, kind = packages.page(project)
    assert kind == "text/html"
    href = re.findall(r'href="([^"#]+)', body.decode())[0]
    signature, said, name = href.removeprefix("/f/").split("/")
    return signature, said, name


def content(found: Found) -> bytes:
    return found.path.read_bytes() if found.path else b"".join(found.stream or ())


def test_a_file_is_fetched_once(packages: Packages, index: Index, tmp_path: Path) -> None:
    link = parts(packages)
    first = packages.file(*link)
    assert first.path is None
    data = (tmp_path / "wheels/alpha-1.0-py3-none-any.whl").read_bytes()
    assert content(first) == data
    asked = len(index.asked)
    second = packages.file(*link)
    assert second.path is not None
    assert content(second) == data
    assert len(index.asked) == asked


def test_a_file_that_is_not_what_the_page_said_never_arrives_whole(packages: Packages, index: Index) -> None:
    url = f"{index.url('127.0.0.1').replace('/simple', '/files')}/alpha-1.0-py3-none-any.whl"
    found = packages._fetched(Linked(url, "0" * 64), url, lasting=True)
    with pytest.raises(Refused):
        content(found)
    assert not packages._store.has("sha256:" + "0" * 64)


def test_other_projects_and_strange_names_are_not_there(packages: Packages) -> None:
    for project in ("nothing-here", "..", "a/b", "", "x" * 300, "a%2fb"):
        with pytest.raises(NotFound):
            packages.page(project)


def test_a_site_without_an_index_says_what_to_do(gateway: PlayPlace, packages: Packages) -> None:
    bare = Packages(gateway.db, gateway.store, packages._upstream, packages._links, "", "")
    with pytest.raises(Refused, match="no package index") as caught:
        bare.page("alpha")
    assert "package_index" in caught.value.hint
    with pytest.raises(Refused, match="no conda channels"):
        bare.conda("conda-forge/noarch/repodata.json")
    assert not bare.has_channels


def test_conda_packages_last_and_indexes_do_not(packages: Packages, index: Index, tmp_path: Path) -> None:
    assert packages.has_channels
    # Any file of the play index will do: what matters is its name.
    found = packages.conda("alpha-1.0-py3-none-any.whl")
    assert content(found) == (tmp_path / "wheels/alpha-1.0-py3-none-any.whl").read_bytes()
    assert packages.conda("alpha-1.0-py3-none-any.whl").path is None
    for path in ("../x", "a/../../x", "a//b", "a/.hidden", "a/b?c", ""):
        with pytest.raises(NotFound):
            packages.conda(path)


def test_links_that_no_page_has_named_lead_nowhere(packages: Packages) -> None:
    signature, said, name = parts(packages)
    with pytest.raises(Forbidden):
        packages.file(signature[::-1], said, name)


def test_an_index_that_is_away_is_a_matter_of_time(gateway: PlayPlace, packages: Packages) -> None:
    away = Packages(gateway.db, gateway.store, packages._upstream, packages._links, "http://127.0.0.1:9/simple", "")
    with pytest.raises(Unavailable):
        away.page("alpha")
