"""Turns an environment's fields into the order that a site carries out, and an order into PyPI requirement lines."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ferryml.compile.conda import Mapped, map_lines, parse_spec
from ferryml.domain.errors import Refused
from ferryml.domain.orders import BuildOrder, EnvironmentOrder

LOCK_HEAD = "# ferry lock 1"
_OPTIONS = ("--index-url", "-i", "--extra-index-url", "--find-links", "-f", "--pre", "--no-binary", "--only-binary")
_FILES = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable")


def environment_order(
    *,
    name: str = "",
    image: str | None = "",
    conda_file: Mapping[str, Any] | None = None,
    pip_requirements: Iterable[str] = (),
    inference_config: Mapping[str, Mapping[str, Any]] | None = None,
    lock: str = "",
    build: BuildOrder | None = None,
) -> EnvironmentOrder:
    """The order for an environment, with its `key`.

    Args:
        name: `environment:NAME:VERSION` of an asset, else empty.
        conda_file: content of the conda specification, already parsed (never a path).
        pip_requirements: requirement lines; comments and blank lines are dropped.
        inference_config: `{liveness_route, readiness_route, scoring_route: {port, path}}`.
        lock: what an earlier preparation returned.
        build: the image is to be built from this, instead of `image`.

    Raises:
        Refused: BadValue naming the dependency that cannot be read.
    """
    python, conda, conda_pip, channels = _conda(conda_file or {})
    pip = _requirements([*conda_pip, *pip_requirements])
    routes = {key: _route(value) for key, value in (inference_config or {}).items()}
    ports = [int(route.partition("/")[0]) for route in (routes.get("scoring_route", ""),) if route]
    order = EnvironmentOrder(
        key="", name=name, image=image or "", python=python, pip=pip, conda=conda, channels=channels, lock=lock,
        liveness=routes.get("liveness_route", ""), readiness=routes.get("readiness_route", ""),
        scoring=routes.get("scoring_route", ""), port=ports[0] if ports else 0, build=build,
    )  # fmt: skip
    return with_key(order)


def with_packages(order: EnvironmentOrder, lines: Sequence[str]) -> EnvironmentOrder:
    """The same environment with more pip requirements (a serving program, say). A name that is there already stays."""
    present = {requirement_name(line) for line in order.pip}
    extra = tuple(line for line in _requirements(lines) if requirement_name(line) not in present)
    return with_key(order.model_copy(update={"pip": order.pip + extra})) if extra else order


def with_key(order: EnvironmentOrder) -> EnvironmentOrder:
    """`key` covers whatever decides which files are installed: not the name, not the routes."""
    said: dict[str, Any] = {**_ingredients(order), "image": order.image, "channels": order.channels, "lock": order.lock}
    said |= {"build": build_words(order.build)} if order.build else {}
    said |= {"inherit": True} if order.inherit else {}
    digest = _hash(said)
    return order.model_copy(update={"key": digest})


def build_words(build: BuildOrder) -> str:
    """What decides what is built: the bytes of the folder, and which file of it says how."""
    return f"{build.context.digest} {build.dockerfile}"


def image_order(order: EnvironmentOrder) -> EnvironmentOrder:
    """Of an environment that is built, the image alone, with its own `key`: whatever is put on top of it later."""
    return with_key(EnvironmentOrder(key="", name=order.name, build=order.build))


def on_image(order: EnvironmentOrder, image: str) -> EnvironmentOrder:
    """An environment that is built, once its image is there: what is left to be made.

    Its Dockerfile installs what the program needs, so that must not be hidden by what Ferry adds.
    """
    return with_key(order.model_copy(update={"image": image, "build": None, "inherit": True}))


def pypi_requirements(order: EnvironmentOrder) -> Mapped:
    """Requirement lines for uv, conda names mapped; pip lines win over conda ones of the same name.

    Raises:
        Refused: EnvironmentFailed naming what has no counterpart on PyPI.
    """
    mapped = map_lines(order.conda)
    pip = {requirement_name(line) for line in order.pip}
    kept = tuple(line for line in mapped.lines if requirement_name(line) not in pip)
    return Mapped(kept + order.pip, mapped.notes)


def requirement_name(line: str) -> str:
    """Normalised name of a requirement line (PEP 503); the line itself when it is an option or a bare URL."""
    match = re.match(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[|@|[<>=!~;]|$|\s)", line)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else line


def lock_text(order: EnvironmentOrder, python: str, pinned: str) -> str:
    """A lock to be stored with the environment: what was asked, the Python it was solved for, the pinned lines."""
    return f"{LOCK_HEAD}\n# python {python}\n# for {ingredients_hash(order)}\n{pinned.strip()}\n"


def lock_python(lock: str) -> str:
    """`3.11` of a lock's head; empty when it has none."""
    match = re.search(r"^# python (\S+)$", lock, re.MULTILINE)
    return match[1] if match else ""


def lock_answers(lock: str, order: EnvironmentOrder) -> bool:
    """True when the lock was made for exactly these requirements, or says nothing about it."""
    match = re.search(r"^# for (\S+)$", lock, re.MULTILINE)
    return match is None or match[1] == ingredients_hash(order)


def ingredients_hash(order: EnvironmentOrder) -> str:
    """Hash of what was asked of the solver."""
    return _hash(_ingredients(order))


def _ingredients(order: EnvironmentOrder) -> dict[str, Any]:
    return {"python": order.python, "pip": order.pip, "conda": order.conda}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _route(value: Mapping[str, Any]) -> str:
    return f"{int(value.get('port', 5001))}{value.get('path', '/')}"


def _conda(content: Mapping[str, Any]) -> tuple[str, tuple[str, ...], list[str], tuple[str, ...]]:
    dependencies = content.get("dependencies") or []
    channels = content.get("channels") or []
    if not isinstance(dependencies, Sequence) or isinstance(dependencies, str):
        raise Refused("BadValue", "conda_file.dependencies must be a list", "One dependency a line: - NAME=VERSION.")
    python, conda, pip = "", [], []
    for item in dependencies:
        if isinstance(item, Mapping):
            pip += _pip_part(item)
        elif not isinstance(item, str):
            raise Refused("BadValue", f"conda_file.dependencies: {item!r} is no dependency", "Write NAME=VERSION.")
        elif (spec := parse_spec(item)).name == "python":
            python = _python(spec.version)
        elif spec.name != "pip":
            conda.append(item.split("#", 1)[0].strip())
    return python, tuple(conda), pip, tuple(str(channel) for channel in channels)


def _pip_part(item: Mapping[str, Any]) -> list[str]:
    unknown = set(item) - {"pip"}
    if unknown:
        raise Refused(
            "BadValue", f"conda_file.dependencies: only `pip:` may hold a list, not {sorted(map(str, unknown))}"
        )
    lines = item.get("pip") or []
    if not isinstance(lines, Sequence) or isinstance(lines, str) or not all(isinstance(line, str) for line in lines):
        raise Refused("BadValue", "conda_file.dependencies.pip must be a list of requirement lines")
    return list(lines)


def _python(specifier: str) -> str:
    """`==3.8.*` and `==3.8` are the version 3.8; ranges stay as they are."""
    match = re.fullmatch(r"==(\d+(?:\.\d+)*)(?:\.\*)?", specifier)
    return match[1] if match else specifier


def _requirements(lines: Iterable[str]) -> tuple[str, ...]:
    result: list[str] = []
    for line in (piece.strip() for text in lines for piece in text.replace("\\\n", " ").splitlines()):
        plain = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not plain:
            continue
        word = re.split(r"[\s=]", plain, maxsplit=1)[0]
        if word in _FILES:
            raise Refused(
                "BadValue", f"pip requirement {plain!r} points at a file, which does not travel with the environment",
                "Write the requirements themselves; put local packages into the code folder.",
            )  # fmt: skip
        if plain.startswith("-") and word not in _OPTIONS:
            raise Refused("BadValue", f"pip option {plain!r} is not understood", f"Known: {', '.join(_OPTIONS)}.")
        if plain.startswith((".", "/", "file:")):
            raise Refused("BadValue", f"pip requirement {plain!r} is a local path", "Put it into the code folder.")
        result.append(plain)
    return tuple(dict.fromkeys(result))
