"""What `ferry up` leaves behind in its state folder, so that `down`, `status` and a second `up` find it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryml.domain.errors import Conflict
from ferryml.sdk.config import STATE_FOLDER, TOKEN_FILE, URL_FILE


@dataclass(frozen=True, slots=True)
class LocalState:
    """The state folder of `ferry up`."""

    folder: Path

    @property
    def url(self) -> str:
        """Where the server answers, or answered last; empty when it never did."""
        return _text(self.folder / URL_FILE)

    @property
    def token(self) -> str:
        """The administrator's token; empty when there is none."""
        return _text(self.folder / TOKEN_FILE)

    @property
    def log(self) -> Path:
        """The log of a background `ferry up`."""
        return self.folder / "up.log"

    def running(self) -> int | None:
        """The pid of the process that works here; None when none does, whatever the files say."""
        kept = self._record()
        pid = kept.get("pid")
        return pid if isinstance(pid, int) and started_at(pid) == kept.get("started") is not None else None

    def ready(self) -> bool:
        """Whether that process said that everything works."""
        return bool(self._record().get("ready"))

    def write(self, ready: bool) -> None:
        """Record this process."""
        record = {"pid": os.getpid(), "started": started_at(os.getpid()), "ready": ready}
        part = self.folder / "up.json.part"
        part.write_text(json.dumps(record), encoding="utf-8")
        os.replace(part, self.folder / "up.json")

    def forget(self) -> None:
        """This process works here no more."""
        (self.folder / "up.json").unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process at a time. Raises Conflict(AlreadyRunning) naming the address of the other."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise self.taken() from error
            yield

    def taken(self) -> Conflict:
        """Somebody works here already."""
        where = f" at {self.url}" if self.url else ""
        return Conflict("AlreadyRunning", f"Ferry runs here already{where}", "Use it, or stop it with `ferry down`.")

    def _record(self) -> dict[str, Any]:
        try:
            kept = json.loads((self.folder / "up.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def started_at(pid: int) -> str | None:
    """When a process started, in ticks since boot; None when there is no such process.

    A pid comes again, a pid with its start time does not.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def nearest(given: Path | None, folder: Path) -> LocalState:
    """The state folder to look at: as named, FERRY_STATE_DIR, the nearest `.ferry` upwards, or the one to be here."""
    named = given or (Path(os.environ["FERRY_STATE_DIR"]) if "FERRY_STATE_DIR" in os.environ else None)
    if named is not None:
        return LocalState(named.absolute())
    for place in (folder, *folder.parents):
        if (place / STATE_FOLDER / URL_FILE).is_file():
            return LocalState(place / STATE_FOLDER)
    return LocalState(folder / STATE_FOLDER)


def home(environ: Mapping[str, str]) -> LocalState:
    """The folder of the private server of `--local`: FERRY_LOCAL_DIR, else ~/.ferry/local."""
    named = environ.get("FERRY_LOCAL_DIR")
    return LocalState(Path(named).absolute() if named else Path.home() / ".ferry" / "local")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
