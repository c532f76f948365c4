"""A folder of documents: what one of them uses is part of it, and no document by itself unless it says its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ferryml.domain.errors import Refused
from ferryml.sdk.documents import absolute
from ferryml.sdk.kinds import UNCLEAR
from ferryml.sdk.load import Loaded, load


class Folder(NamedTuple):
    """What several files hold.

    Args:
        documents: each with the file that it stands in.
        parts: file that is part of a document of another file -> that other file.
    """

    documents: list[tuple[Loaded, Path]]
    parts: dict[Path, Path]


def load_files(files: Sequence[Path]) -> Folder:
    """Every document of the files. Raises Refused for the first that is wrong, unless it is part of another."""
    found: list[tuple[Loaded, Path]] = []
    wrong: dict[Path, Refused] = {}
    for file in files:
        try:
            found += [(one, file) for one in load(file)]
        except Refused as error:
            wrong[file] = error
    users = {path: file for one, file in found for path in one.used}
    parts = {file: user for file in files if (user := _user(file, users)) is not None}
    if unexplained := [error for file, error in wrong.items() if file not in parts]:
        # a file that is no document is most often part of one that could not be read
        raise min(unexplained, key=lambda error: UNCLEAR in error.details)
    said = {file for one, file in found if one.said}
    return Folder(
        [(one, file) for one, file in found if one.said or file not in parts],
        {file: user for file, user in parts.items() if file not in said},
    )


def _user(file: Path, users: Mapping[Path, Path]) -> Path | None:
    whole = absolute(Path(), str(file))
    lines: Iterable[Path] = (whole, *whole.parents)
    return next((users[path] for path in lines if path in users and users[path] != file), None)
