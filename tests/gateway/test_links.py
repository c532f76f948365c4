from __future__ import annotations

import json
import re

import pytest

from ferryml.domain.errors import Forbidden, Unavailable
from ferryml.gateway.links import JSON_KIND, Linked, Links

LINKS = Links(b"secret", "/v1/packages/files")
SHA = "a" * 64


def opened(link: str, links: Links = LINKS) -> Linked:
    signature, said, name = link.removeprefix("/v1/packages/files/").split("/")
    return links.open(signature, said, name)


def test_a_link_comes_back_as_what_it_stood_for() -> None:
    file = Linked("https://files.example/a%20b-1.0.whl?x=1", SHA)
    assert opened(LINKS.link(file)) == file


def test_metadata_of_a_wheel_lies_beside_it() -> None:
    link = LINKS.link(Linked("https://files.example/p/a-1.0.whl?sig=1", SHA))
    assert opened(link + ".metadata") == Linked("https://files.example/p/a-1.0.whl.metadata?sig=1")


def test_links_of_others_are_no_links() -> None:
    link = LINKS.link(Linked("https://files.example/a.whl"))
    with pytest.raises(Forbidden):
        opened(link, Links(b"other", ""))
    signature, said, _ = link.removeprefix("/v1/packages/files/").split("/")
    with pytest.raises(Forbidden):
        LINKS.open(signature, said + "A", "a.whl")
    with pytest.raises(Forbidden):
        LINKS.open("", said, "a.whl")


def test_json_pages_lead_through_this_door() -> None:
    page = {
        "meta": {"api-version": "1.1"},
        "files": [
            {"url": "../../f/a.whl#x", "hashes": {"sha256": SHA}, "core-metadata": True, "gpg-sig": 1},
            {"url": "https://u:p@cdn/b.whl", "hashes": {}},
        ],
    }
    kind = f"{JSON_KIND}; charset=utf-8"
    found = json.loads(LINKS.page(json.dumps(page).encode(), kind, "https://index/simple/a/"))
    first, second = found["files"]
    assert opened(first["url"]) == Linked("https://index/f/a.whl", SHA)
    assert opened(second["url"]) == Linked("https://cdn/b.whl")
    assert (first["core-metadata"], "gpg-sig" in first) == (True, False)


def test_html_pages_keep_what_resolvers_need() -> None:
    page = f"""<html><head><base href="https://files.example/root/"></head><body>
        <a href="a-1.0.whl#sha256={SHA}" data-requires-python="&gt;=3.8" data-dist-info-metadata="sha256=b"
           onclick="evil()">a-1.0.whl</a>
        <a href="/b-1.0.tar.gz">b <b>1</b></a></body></html>"""
    out = LINKS.page(page.encode(), "text/html; charset=utf-8", "https://index/simple/a/").decode()
    hrefs = re.findall(r'href="([^"]+)"', out)
    assert opened(hrefs[0].partition("#")[0]) == Linked("https://files.example/root/a-1.0.whl", SHA)
    assert hrefs[0].endswith(f"#sha256={SHA}")
    assert opened(hrefs[1]) == Linked("https://files.example/b-1.0.tar.gz")
    assert 'data-requires-python="&gt;=3.8"' in out
    assert 'data-dist-info-metadata="sha256=b"' in out
    assert "evil" not in out


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"files": [1]}', b'{"files": [{"url": 1}]}'])
def test_what_is_no_page_is_said(body: bytes) -> None:
    with pytest.raises(Unavailable):
        LINKS.page(body, JSON_KIND, "https://index/simple/a/")
