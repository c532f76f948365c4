"""Files inside files: environments, conda files, jobs and deployments that a document names are put into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ferryml.domain.errors import Refused
from ferryml.domain.parse import Path as KeyPath
from ferryml.domain.parse import dotted
from ferryml.domain.spec import Automation, CommandJob, Environment, OnlineDeployment, Rollout, Spec
from ferryml.domain.spec.values import strip_file
from ferryml.sdk.documents import MAX_BYTES, Document, absolute, is_local, read_document

EMBEDDED: Mapping[Any, tuple[tuple[KeyPath, type[Spec]], ...]] = {
    CommandJob: ((("environment",), Environment),),
    OnlineDeployment: ((("environment",), Environment),),
    Rollout: ((("deployment",), OnlineDeployment),),
    Automation: (
        (("create_job", "job"), CommandJob),
        (("evaluate", "job"), CommandJob),
        (("rollout", "deployment"), OnlineDeployment),
    ),
}
"""Where a kind of document may name a file of another kind."""

LoadFile = Callable[[type[Spec], Path], Spec]

_INCLUDE = re.compile(r"^(?:-r|--requirement)[\s=]*(\S+)$")
_COMMENT = re.compile(r"(^|\s)#.*$")
_MAX_INCLUDES = 16


def embed(kind: Any, document: Document, load_file: LoadFile) -> Any:
    """The document's data with every named file in place of its name; `load_file` reads one as a spec."""
    return _embed(kind, document.data, (), document, load_file)


def _embed(kind: Any, data: Any, at: KeyPath, document: Document, load_file: LoadFile) -> Any:
    if not isinstance(data, Mapping):
        return data
    if kind is Environment:
        return _environment(data, at, document)
    for path, child in EMBEDDED.get(kind, ()):
        value = _get(data, path)
        where = (*at, *path)
        if isinstance(value, str) and is_local(value):
            file = _existing(value, document, where, "azureml:NAME:VERSION names a registered one")
            data = _put(data, path, load_file(child, file))
        elif isinstance(value, Mapping):
            data = _put(data, path, _embed(child, value, where, document, load_file))
    return data


def _environment(data: Mapping[str, Any], at: KeyPath, document: Document) -> Mapping[str, Any]:
    conda, pip = data.get("conda_file"), data.get("pip_requirements")
    if isinstance(conda, str) and is_local(conda):
        file = _existing(conda, document, (*at, "conda_file"), "it may also be written inline")
        data = {**data, "conda_file": _conda(file)}
    elif isinstance(conda, Mapping):
        data = {**data, "conda_file": _with_includes(conda, document.folder)}
    if isinstance(pip, str) and (pip.startswith("file:") or pip.endswith((".txt", ".in")) or "/" in pip):
        file = _existing(pip, document, (*at, "pip_requirements"), "it may also be written inline")
        data = {**data, "pip_requirements": _lines(file)}
    return data


def _conda(file: Path) -> Any:
    document = read_document(file)
    data = document.data
    return _with_includes(data, file.parent) if isinstance(data, Mapping) else data


def _with_includes(conda: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    lines = conda.get("dependencies")
    if not isinstance(lines, list):
        return dict(conda)
    return {**conda, "dependencies": [_pip_part(line, folder) for line in lines]}


def _pip_part(line: Any, folder: Path) -> Any:
    if not isinstance(line, Mapping) or not isinstance(line.get("pip"), list):
        return line
    return {**line, "pip": [one for text in line["pip"] for one in _included(text, folder, 0)]}


def _lines(file: Path, depth: int = 0) -> list[str]:
    if depth > _MAX_INCLUDES:
        raise Refused("BadValue", f"{file}: requirements files include each other", "Remove the circle of -r lines.")
    raw = file.read_bytes()
    if len(raw) > MAX_BYTES:
        raise Refused("FileTooLarge", f"{file} has more than {MAX_BYTES} bytes", "A requirements file is a short list.")
    try:
        text = raw.decode("utf-8-sig").replace("\\\n", " ")
    except UnicodeDecodeError as error:
        raise Refused("BadEncoding", f"{file} is not UTF-8", "Save it as UTF-8.") from error
    plain = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return [one for line in plain if line for one in _included(line, file.parent, depth)]


def _included(line: Any, folder: Path, depth: int) -> list[Any]:
    found = _INCLUDE.match(line.strip()) if isinstance(line, str) else None
    if not found:
        return [line]
    file = absolute(folder, found[1])
    if not file.is_file():
        raise Refused("FileNotFound", f"-r {found[1]}: there is no such file in {folder}", "Correct the -r line.")
    return _lines(file, depth + 1)


def _existing(text: str, document: Document, at: KeyPath, hint: str) -> Path:
    file = absolute(document.folder, strip_file(text))
    if not file.is_file():
        message = f"{document.place(*at)}: {dotted(at)} names {text!r}, and there is no file {file}"
        raise Refused("FileNotFound", message, f"Paths are relative to the file; {hint}.")
    document.used.add(file)
    return file


def _get(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _put(data: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    head = str(path[0])
    return {**data, head: value if len(path) == 1 else _put(data[head], path[1:], value)}
