"""Which images a Dockerfile starts from: they are pulled by a container that has the registry's password, before its
commands run in one that has not."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = "scratch"
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+])([^}]*))?\}|(\w+))")
_HEREDOC = re.compile(r"<<-?([\"']?)(\w+)\1")
_ESCAPE = re.compile(r"^#\s*escape\s*=\s*(\S)", re.IGNORECASE)


def base_images(text: str) -> list[str]:
    """Images outside of the file that FROM, COPY --from and RUN --mount name, in their order.

    What hangs on a variable without a value is left out: the builder looks for that itself, without a password.
    """
    known: dict[str, str] = {}
    stages: list[str] = []
    found: list[str] = []
    for word, rest in _instructions(text):
        if word == "ARG" and not stages:
            known.update(_argument(rest, known))
        elif word == "FROM":
            words = [part for part in rest.split() if not part.startswith("--")]
            if words:
                found.append(_image(words[0], known, stages))
                stages.append(words[2].lower() if len(words) > 2 and words[1].upper() == "AS" else "")
        elif word in ("COPY", "ADD", "RUN"):
            found.extend(_image(name, known, stages) for name in _sources(rest))
    return [name for name in dict.fromkeys(found) if name]


def _image(name: str, known: dict[str, str], stages: list[str]) -> str:
    """Empty for stages of the file itself, for `scratch`, and for what cannot be told."""
    plain = _filled(name.strip("\"'"), known)
    own = plain.lower() in stages or (plain.isdigit() and int(plain) < len(stages))
    return "" if own or plain.lower() == NOTHING or "$" in plain else plain


def _sources(rest: str) -> Iterator[str]:
    for part in rest.split():
        if not part.startswith("--"):
            return
        key, _, value = part[2:].partition("=")
        if key == "from":
            yield value
        elif key == "mount":
            yield from (item[len("from=") :] for item in value.split(",") if item.startswith("from="))


def _argument(rest: str, known: dict[str, str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for part in rest.split():
        name, equals, value = part.partition("=")
        if equals:
            made[name] = _filled(value.strip("\"'"), {**known, **made})
    return made


def _filled(text: str, known: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, sign, other, bare = match.groups()
        have = known.get(name or bare)
        if sign == "+":
            return other if have else ""
        if have or (have is not None and sign is None):
            return have
        return other if sign == "-" else match.group(0)

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """(word in capitals, the rest), continued lines joined, comments and here-documents left out."""
    escape, held = "\\", ""
    ends: list[str] = []
    for number, line in enumerate(text.splitlines()):
        if ends:
            if line.strip() == ends[0]:
                ends.pop(0)
            continue
        directive = _ESCAPE.match(line.strip()) if number < 5 else None
        escape = directive.group(1) if directive else escape
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.endswith(escape):
            held += bare[: -len(escape)] + " "
            continue
        word, _, rest = (held + bare).partition(" ")
        held = ""
        if word.upper() in ("RUN", "COPY", "ADD"):
            ends = [name for _, name in _HEREDOC.findall(rest)]
        yield word.upper(), rest.strip()
    if held:
        word, _, rest = held.partition(" ")
        yield word.upper(), rest.strip()
