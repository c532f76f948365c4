"""The folder of a revision: code and model brought from the site store into the layout that scoring scripts expect."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from ferryml.compile.mlflow_score import SCRIPT
from ferryml.compile.serving import MLFLOW_ENTRY, Places, model_path
from ferryml.compile.tree import check_path, parse_tree
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.orders import RevisionOrder, TreeRef

SERVER_LOG = "inference-server.log"
STAGE_LOG = "storage-initializer.log"
CONTAINERS = {"inference-server": SERVER_LOG, "storage-initializer": STAGE_LOG}

Content = Callable[[str], Path]
"""Digest -> path of verified bytes in the site store."""


def folder_of(root: Path, uid: str, revision: str = "") -> Path:
    """Folder of an endpoint, or of one of its revisions."""
    endpoint = root / re.sub(r"[^A-Za-z0-9._~-]", "_", uid).lstrip(".")
    return endpoint / check_path(revision) if revision else endpoint


class RevisionFolder:
    """Everything of one revision on this machine; its instances share one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / SERVER_LOG
        self._staging = threading.Lock()

    def places(self, revision: RevisionOrder) -> Places:
        """Where the parts are once `stage` has ended."""
        files = self.path / "files"
        folder, inside = model_path(revision.model, revision.model_name)
        return Places(str(files / "app"), str(files / folder) if folder else "", str(files / inside) if inside else "")

    def staged(self) -> bool:
        return (self.path / "files").is_dir()

    def stage(self, revision: RevisionOrder, content: Content) -> None:
        """Bring everything; whole or not at all. Raises Refused (`PathEscapes`), Unavailable (`DiskFull`), OSError."""
        with self._staging:
            if not self.staged():
                self._stage(revision, content)

    def drop_files(self) -> None:
        """Free the disk; logs stay."""
        for name in ("files", "files.part"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def note(self, line: str) -> None:
        """One line of the storage initializer's log."""
        with (self.path / STAGE_LOG).open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def read_log(self, container: str, offset: int, limit: int = -1) -> bytes:
        """Bytes from `offset`, up to `limit` (negative: all). Raises Refused for an unknown container."""
        if container not in CONTAINERS:
            known = " and ".join(sorted(CONTAINERS))
            raise Refused("BadValue", f"there is no container {container[:64]!r}", f"Containers are {known}.")
        try:
            with (self.path / CONTAINERS[container]).open("rb") as log:
                log.seek(offset)
                return log.read(limit)
        except FileNotFoundError:
            return b""

    def _stage(self, revision: RevisionOrder, content: Content) -> None:
        made = self.path / "files.part"
        shutil.rmtree(made, ignore_errors=True)
        app = made / "app"
        app.mkdir(parents=True)
        try:
            if revision.code:
                self._bring("code", revision.code, app, content)
            if revision.flavor == "mlflow":
                (app / MLFLOW_ENTRY).write_text(SCRIPT, encoding="utf-8")
            if revision.model:
                _, inside = model_path(revision.model, revision.model_name)
                file = "" if revision.model.kind == "tree" or revision.model.name else "model"
                self._bring(revision.model_name or "model", revision.model, made / inside / file, content)
            self._check(revision, app)
        except OSError as error:
            if error.errno == 28:
                raise Unavailable("DiskFull", "no room left to bring the deployment's files") from error
            raise
        made.rename(self.path / "files")
        self.note("files are in place")

    def _bring(self, what: str, ref: TreeRef, target: Path, content: Content) -> None:
        self.note(f"bringing {what} ({ref.size} bytes, {ref.digest})")
        if ref.kind == "file":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(content(ref.digest), target)
            return
        target.mkdir(parents=True, exist_ok=True)
        for entry in parse_tree(content(ref.digest).read_bytes()).entries:
            file = target / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(content(entry.digest), file)
            if entry.executable:
                os.chmod(file, 0o755)  # noqa: S103  the author marked it so

    def _check(self, revision: RevisionOrder, app: Path) -> None:
        if revision.flavor == "script" and not (app / revision.scoring_script).is_file():
            words = f"the code folder has no file {revision.scoring_script!r}"
            raise Refused("BadArgument", words, "Correct code_configuration.scoring_script.")
