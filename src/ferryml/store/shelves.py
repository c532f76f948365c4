"""Where finished bytes stand: a folder of this machine, or an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
from obstore import exceptions as remote
from obstore.store import from_url

from ferryml.domain.errors import NotFound, Refused, Unavailable
from ferryml.store.files import move_into_place, pieces

if TYPE_CHECKING:
    from obstore.store import ClientConfig

PART = 8 * 1024 * 1024
"""Bytes of one part of an upload, and of one request for reading; S3 wants at least 5 MiB."""
PARTS_AT_ONCE = 4
REQUEST_LIMIT = "120s"
"""Longest time for one request, bytes included: a part on a slow line."""
PARTS = 9_000
"""S3 takes at most 10,000 parts."""


class Shelf(Protocol):
    """Keys are relative POSIX paths made by us."""

    def size(self, key: str) -> int | None:
        """Bytes; None when it is not there."""

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]: ...
    def take(self, source: Path, key: str) -> None:
        """Puts a whole file there, at once or not at all. `source` may be gone afterwards."""

    def delete(self, key: str) -> None: ...
    def listing(self) -> Iterator[tuple[str, int]]:
        """All keys with their sizes."""


class FolderShelf:
    """Files below one folder; survives power loss once `take` has returned."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def size(self, key: str) -> int | None:
        try:
            return (self.root / key).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        return pieces(self.root / key, start, end)

    def take(self, source: Path, key: str) -> None:
        move_into_place(source, self.root / key)
        (self.root / key).chmod(0o400)

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)

    def listing(self) -> Iterator[tuple[str, int]]:
        for path in sorted(self.root.glob("sha256/??/*")):
            if not path.name.startswith("."):
                yield path.relative_to(self.root).as_posix(), path.stat().st_size


class ObjectShelf:
    """An object store by URL: s3://, gs://, az://. What stands after `?` are settings of obstore, such as
    `endpoint`, `region`, `allow_http`; credentials come from the environment as the store's own tools read them."""

    def __init__(self, url: str) -> None:
        parsed = urlsplit(url)
        settings = dict(parse_qsl(parsed.query))
        client: ClientConfig = {"allow_http": settings.pop("allow_http", "") == "true", "timeout": REQUEST_LIMIT}
        try:
            # The overloads want to know the kind of store beforehand; here the URL decides.
            self._store = from_url(parsed._replace(query="").geturl(), config=settings, client_options=client)  # type: ignore[call-overload]
        except (remote.BaseError, ValueError) as error:
            raise Refused(
                "BadValue",
                f"artifacts_url is not the address of an object store ({type(error).__name__}).",
                "Write s3://, gs:// or az:// with obstore's settings after `?`.",
            ) from error

    def size(self, key: str) -> int | None:
        try:
            with _translated():
                return int(obstore.head(self._store, key)["size"])
        except NotFound:
            return None

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        # Windows instead of one stream: a slow reader must not run into the store's time limit of a request.
        for here in range(start, end, PART):
            with _translated():
                piece = bytes(obstore.get_range(self._store, key, start=here, end=min(here + PART, end)))
            yield piece

    def take(self, source: Path, key: str) -> None:
        with _translated():
            part = max(PART, source.stat().st_size // PARTS)
            obstore.put(self._store, key, source, chunk_size=part, max_concurrency=PARTS_AT_ONCE)

    def delete(self, key: str) -> None:
        try:
            with _translated():
                obstore.delete(self._store, key)
        except NotFound:
            return

    def listing(self) -> Iterator[tuple[str, int]]:
        with _translated():
            for page in obstore.list(self._store, "sha256"):
                for item in page:
                    yield item["path"], int(item["size"])


def open_shelf(url: str) -> Shelf:
    """A path or file:// URL is a folder; anything else is an object store."""
    if url.startswith("file:"):
        return FolderShelf(Path(unquote(urlsplit(url).path)))
    return ObjectShelf(url) if "://" in url else FolderShelf(Path(url))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (remote.NotFoundError, FileNotFoundError) as error:
        raise NotFound("BlobMissing", "The content is not stored here.", "Upload it again.") from error
    except remote.BaseError as error:
        raise Unavailable(
            "Unavailable",
            f"The artifact store does not answer as it should ({type(error).__name__}).",
            "Check artifacts_url, its credentials and the store's own health.",
        ) from error
