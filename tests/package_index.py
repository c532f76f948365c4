"""A package index of our own: real wheels, fetched once into the cache, served as PEP 503 pages on any address."""

import contextlib
import fcntl
import hashlib
import html
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "wheelhouse"
PACKAGES = ("six", "numpy", "scikit-learn", "mlflow-skinny")
DOWNLOAD_LIMIT_S = 600


def wheelhouse(packages: Sequence[str] = PACKAGES, python: str = "3.11", locked: bool = True) -> Path:
    """A folder with wheels of these packages and all they need, in the versions of the development lock if `locked`
    (which may hold what packages of users' environments do not agree with)."""
    constraints = _constraints(python) if locked else ""
    key = hashlib.sha256("\n".join([*sorted(packages), python, constraints]).encode()).hexdigest()[:16]
    folder = CACHE / key
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _download(folder, packages, python, constraints)
            (folder / "complete").touch()
    return folder


def _download(folder: Path, packages: Sequence[str], python: str, constraints: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "constraints").write_text(constraints)
    argv = [_pip(), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    argv += ["--python-version", python, "--dest", str(folder), "-c", str(folder / "constraints"), *packages]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DOWNLOAD_LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"the wheels for tests could not be fetched: {done.stderr[-1000:]}")


def _pip() -> str:
    own = ROOT / ".cache" / "uv" / "bin" / "python"  # the only Python of the checkout that has pip
    return str(own) if own.exists() else sys.executable


def _constraints(python: str) -> str:
    """The development lock as it holds for that Python, without its hashes: pip would want one for every wheel."""
    text = (ROOT / "locks" / "dev.txt").read_text().replace("\\\n", " ")
    lines = (re.sub(r"--hash=\S+", "", line).strip() for line in text.splitlines())
    pins = [Requirement(line) for line in lines if "==" in line]
    place = {"python_version": python, "python_full_version": f"{python}.0", "implementation_name": "cpython"}
    return "\n".join(f"{pin.name}{pin.specifier}" for pin in pins if not pin.marker or pin.marker.evaluate(place))


class _Server(ThreadingHTTPServer):
    """Clients that have seen enough hang up; that is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Index:
    """Serves a wheelhouse; `asked` lists who asked for which path."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.asked: list[tuple[str, str]] = []
        self._pages = _pages(folder)
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                index.asked.append((self.client_address[0], self.path))
                found = index.answer(self.path)
                body, kind = found if found else (b"not here", "text/plain")
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                """The tests look at `asked`."""

        self._folder = folder
        self._server = _Server((host, port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="package-index", daemon=True)
        self._thread.start()

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/simple"

    def answer(self, path: str) -> tuple[bytes, str] | None:
        """Body and type of a page or a wheel; None when there is none."""
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2:
            page = self._pages.get(parts[1])
            return (page.encode(), "text/html") if page else None
        if parts[0] == "files" and len(parts) == 2 and (self._folder / Path(parts[1]).name).is_file():
            return (self._folder / Path(parts[1]).name).read_bytes(), "application/octet-stream"
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextlib.contextmanager
def serving(folder: Path, host: str = "127.0.0.1") -> Iterator[Index]:
    """An index that lives as long as the block."""
    index = Index(folder, host)
    try:
        yield index
    finally:
        index.close()


def _pages(folder: Path) -> dict[str, str]:
    links: dict[str, list[str]] = {}
    for wheel in sorted(folder.glob("*.whl")):
        name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        shown = html.escape(wheel.name)
        links.setdefault(name, []).append(f'<a href="../../files/{shown}#sha256={digest}">{shown}</a>')
    return {name: "<!DOCTYPE html><html><body>" + "\n".join(found) + "</body></html>" for name, found in links.items()}
