"""Pages of a package index with every link led through this door: pure, and signed so that nobody invents a link."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from ferryml.domain.errors import Forbidden, Unavailable

JSON_KIND = "application/vnd.pypi.simple.v1+json"
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_KEPT = ("data-requires-python", "data-yanked", "data-dist-info-metadata", "data-core-metadata")


@dataclass(frozen=True, slots=True)
class Linked:
    """A file that an index has named."""

    url: str
    sha256: str = ""


class Links:
    """Makes and opens links of this door.

    Args:
        secret: signs them.
        base: path of this door below which files are, e.g. `/v1/packages/files`.
    """

    def __init__(self, secret: bytes, base: str) -> None:
        self._secret, self._base = secret, base

    def link(self, file: Linked) -> str:
        """`BASE/SIGNATURE/ADDRESS/FILENAME`; a client may add `.metadata` to it (PEP 658)."""
        said = _text(json.dumps([file.url, file.sha256]).encode())
        name = urlsplit(file.url).path.rpartition("/")[2] or "file"
        return f"{self._base}/{self._sign(said)}/{said}/{name}"

    def open(self, signature: str, said: str, name: str) -> Linked:
        """The file that a link means. Raises Forbidden for links that were not made here."""
        if not hmac.compare_digest(signature.encode(), self._sign(said).encode()):
            raise Forbidden("Forbidden", "the package index of this site has named no such file")
        url, sha256 = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
        own = unquote(urlsplit(url).path.rpartition("/")[2])
        if name == f"{own}.metadata":
            parts = urlsplit(url)
            return Linked(urlunsplit(parts._replace(path=parts.path + ".metadata")))
        return Linked(url, sha256)

    def page(self, body: bytes, kind: str, url: str) -> bytes:
        """A project page of `url`, or the list of projects, with its links led through this door.

        Raises Unavailable when it is no such page.
        """
        if kind.partition(";")[0].strip() == JSON_KIND:
            return self._json(body, url)
        return _html(body, url, self.link)

    def _json(self, body: bytes, url: str) -> bytes:
        try:
            page = json.loads(body)
            for file in page.get("files", []):
                sha256 = str((file.get("hashes") or {}).get("sha256") or "")
                file["url"] = self.link(_linked(urljoin(url, file["url"]), sha256))
                file.pop("gpg-sig", None)
                file.pop("provenance", None)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unavailable("Unavailable", "the package index answered with something else than a page") from error
        return json.dumps(page).encode()

    def _sign(self, said: str) -> str:
        return _text(hmac.new(self._secret, said.encode(), hashlib.sha256).digest()[:18])


def _linked(url: str, sha256: str) -> Linked:
    """Without fragment and credentials: those are the gateway's business."""
    plain = urlsplit(urldefrag(url)[0])
    host = plain.netloc.rpartition("@")[2]
    return Linked(urlunsplit(plain._replace(netloc=host)), sha256 if _SHA256.match(sha256) else "")


def _html(body: bytes, url: str, link: Callable[[Linked], str]) -> bytes:
    anchors = _Anchors(url)
    anchors.feed(body.decode("utf-8", "replace"))
    lines = []
    for target, attributes, text in anchors.found:
        name, _, digest = urldefrag(target)[1].partition("=")
        linked = _linked(target, digest if name == "sha256" else "")
        project = urlsplit(target).path.endswith("/")
        href = text + "/" if project else link(linked) + (f"#{name}={digest}" if digest else "")
        kept = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
        lines.append(f'<a href="{html.escape(href)}"{kept}>{html.escape(text)}</a><br>')
    page = "\n".join(lines)
    head = '<head><meta name="pypi:repository-version" content="1.0"></head>'
    return f"<!DOCTYPE html><html>{head}<body>\n{page}\n</body></html>".encode()


class _Anchors(HTMLParser):
    """(absolute target, attributes to keep, text) of every link."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = url
        self.found: list[tuple[str, dict[str, str], str]] = []
        self._open: tuple[str, dict[str, str]] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "base" and known.get("href"):
            self._base = urljoin(self._base, str(known["href"]))
        if tag == "a" and known.get("href"):
            kept = {name: known[name] or "" for name in _KEPT if name in known}
            self._open, self._text = (urljoin(self._base, str(known["href"])), kept), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.found.append((*self._open, self._text.strip()))
            self._open = None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
