"""YAML files as data that remembers its places: strict about what is written, limited in size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ferryml.domain.errors import Refused
from ferryml.domain.parse import Key, Place, dotted
from ferryml.domain.parse import Path as KeyPath
from ferryml.domain.spec.values import WrittenFloat, is_uri

MAX_BYTES = 1 << 20
"""A document is written by hand; more than 1 MiB is a mistake or an attack."""

MAX_NODES = 50_000
"""Values in a document with every alias written out; stops a few lines from becoming gigabytes."""

MAX_DEPTH = 64
"""Levels of nesting."""

_AS_WRITTEN = frozenset({"environment_variables", "tags", "properties"})
"""Mappings of text to text: `DEBUG: true` stays `true`."""


_COLLECTIONS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Args:
        data: plain dicts, lists, strings, numbers, booleans and None; keys are strings.
        positions: path of keys and indexes -> where it was written.
        path: the file, absolute.
        used: files and folders that the document names, absolute; noted while it is read as a spec.
    """

    data: Any
    positions: Mapping[KeyPath, Place]
    path: Path
    used: set[Path] = field(default_factory=set, compare=False)

    @property
    def folder(self) -> Path:
        """What relative paths in the document are relative to."""
        return self.path.parent

    def place(self, *keys: Key) -> Place:
        """Where a value, or the nearest thing around it, was written."""
        for length in range(len(keys), -1, -1):
            if (found := self.positions.get(keys[:length])) is not None:
                return found
        return Place(str(self.path))


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read a file with exactly one document.

    Raises:
        Refused: `FileNotFound`, `FileTooLarge`, `BadEncoding`, `BadYaml`.
    """
    documents = read_documents(path)
    if len(documents) != 1:
        count = f"{len(documents)} documents" if documents else "no document"
        raise Refused("BadYaml", f"{path}: holds {count}; exactly one is needed", "`ferry apply` takes several.")
    return documents[0]


def read_documents(path: str | os.PathLike[str]) -> list[Document]:
    """Read every document of a file; empty ones are left out."""
    file = Path(os.path.abspath(path))
    return parse_documents(_read_text(file, str(path)), file, str(path))


def parse_documents(text: str, path: Path, shown: str = "") -> list[Document]:
    """Read documents from text; `path` is where relative paths start, `shown` is its name in messages."""
    source = shown or str(path)
    documents = []
    for node in _compose(text, source):
        builder = _Builder(source)
        data = builder.build(node, ())
        if data is not None:
            documents.append(Document(data, builder.positions, path))
    return documents


def _read_text(file: Path, shown: str) -> str:
    try:
        if file.is_dir():
            raise Refused("FileNotFound", f"{shown} is a folder, not a file", "Name the YAML file.")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise Refused(
            "FileNotFound", f"{shown} does not exist", "Relative paths start at the current folder."
        ) from error
    except OSError as error:
        raise Refused("FileNotFound", f"{shown} cannot be read: {error.strerror}", "Check its permissions.") from error
    if len(raw) > MAX_BYTES:
        raise Refused(
            "FileTooLarge", f"{shown} is larger than {MAX_BYTES} bytes", "A YAML document is written by hand."
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("BadEncoding", f"{shown} is not UTF-8 (byte {error.start})", "Save it as UTF-8.") from error


def _compose(text: str, source: str) -> Iterator[Node]:
    try:
        # ruamel's own construction would lose places and let duplicate keys and timestamps through
        yield from YAML(typ="safe", pure=True).compose_all(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{source}:{mark.line + 1}" if mark else source
        why = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise Refused("BadYaml", f"{at}: {why}", "Mend that line; see the line before it as well.") from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise Refused("BadYaml", f"{source}: {str(error)[:200] or 'nested too deeply'}", "Mend the file.") from error


class _Builder:
    """Turns nodes into data, noting places; refuses duplicate keys, tags, loops and bombs."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.positions: dict[KeyPath, Place] = {}
        self._nodes = 0
        self._open: set[int] = set()

    def build(self, node: Node | None, path: KeyPath) -> Any:
        if node is None:
            return None
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH or id(node) in self._open:
            raise self._bad(node, "the document is too large or too deep with its aliases written out")
        self.positions.setdefault(path, self._place(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if str(node.tag) not in _COLLECTIONS:
            raise self._bad(node, f"the tag {node.tag} is not understood")
        self._open.add(id(node))
        try:
            return self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._bad(key_node, "a key must be a plain word")
            if str(key_node.tag) == "tag:yaml.org,2002:merge":
                merged = {**self._merged(value_node, path), **merged}
                continue
            key = str(key_node.value)
            if key in own:
                raise self._bad(key_node, f"the key {key!r} is here twice{f' in {dotted(path)}' if path else ''}")
            self.positions[(*path, key)] = self._place(key_node)
            own[key] = self.build(value_node, (*path, key))
        return {**merged, **own}

    def _merged(self, node: Node, path: KeyPath) -> dict[str, Any]:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            built = self.build(source, path)
            if not isinstance(built, dict):
                raise self._bad(source, "<< takes a mapping")
            merged = {**built, **merged}
        return merged

    def _sequence(self, node: Node, path: KeyPath) -> list[Any]:
        if not isinstance(node, SequenceNode):
            raise self._bad(node, "this kind of value is not understood")
        return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        tag, text = str(node.tag).removeprefix("tag:yaml.org,2002:"), str(node.value)
        as_written = len(path) > 1 and path[-2] in _AS_WRITTEN and tag != "null"
        if as_written or tag in ("str", "timestamp"):
            return text
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            case "int":
                return _integer(text)
            case "float":
                return _float(text)
        raise self._bad(node, f"the tag !{tag} is not understood")

    def _place(self, node: Node) -> Place:
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def _bad(self, node: Node, why: str) -> Refused:
        return Refused("BadYaml", f"{self._place(node)}: {why}", "Mend that line.")


def _integer(text: str) -> int | str:
    try:
        # 0o17 and 0x1f are numbers; 017 is 17 as in YAML 1.2
        return int(text, 10) if text.lstrip("+-").isdigit() else int(text, 0)
    except ValueError:
        return text


def _float(text: str) -> float | str:
    try:
        return WrittenFloat(text)
    except ValueError:
        return text


def absolute(folder: Path, written: str) -> Path:
    """A path of a document as an absolute one; `..` is resolved, links are kept."""
    return Path(os.path.abspath(folder / os.path.expanduser(written)))


def is_local(text: str) -> bool:
    """Whether a string names a local file rather than a URI or reference."""
    return not is_uri(text)
