"""Command lines as argparse reads them: unambiguous prefixes of options, and options that take several values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferryml.domain.errors import Refused

REPEATED = frozenset({"--set"})
"""`--set a=1 b=2` is `--set a=1 --set b=2`."""
JOINED: Mapping[str, str] = {"--add": "\x1f", "--remove": "\x1f", "--traffic": " ", "--mirror-traffic": " "}
"""`--add tags a=1` is one value; the parts are held together by this."""


def expand(args: Sequence[str], options: Mapping[str, bool]) -> list[str]:
    """The arguments with whole option names and one value each.

    Args:
        options: every option of the command as typed (`--name`, `-n`) -> whether it takes a value.

    Raises:
        Refused: `Usage` when a prefix stands for several options.
    """
    expanded: list[str] = []
    rest = list(args)
    while rest:
        token = rest.pop(0)
        if token == "--":  # noqa: S105 - the end of options, no secret
            return [*expanded, token, *rest]
        name, equals, value = token.partition("=")
        if not name.startswith("--"):
            expanded.append(token)
            if options.get(token) and rest:
                expanded.append(rest.pop(0))
            continue
        name = whole(name, options)
        if not options.get(name):
            expanded.append(name + equals + value)
        elif name in REPEATED or name in JOINED:
            expanded += _several(name, [value] if equals else [], rest, options)
        else:
            expanded.append(name + equals + value)
            if not equals and rest:
                expanded.append(rest.pop(0))
    return expanded


def whole(name: str, options: Mapping[str, Any]) -> str:
    """The option that a prefix stands for; the prefix itself when there is none."""
    if name in options:
        return name
    meant = sorted(option for option in options if option.startswith(name) and option.startswith("--"))
    if len(meant) > 1:
        raise Refused("Usage", f"{name} could be {' or '.join(meant)}", "Write one more letter.")
    return meant[0] if meant else name


def _several(name: str, values: list[str], rest: list[str], options: Mapping[str, bool]) -> list[str]:
    while rest and not (rest[0] == "--" or _is_option(rest[0], options)):
        values.append(rest.pop(0))
    if not values:
        return [name]
    if name in JOINED:
        return [f"{name}={JOINED[name].join(values)}"]
    return [f"{name}={value}" for value in values]


def _is_option(token: str, options: Mapping[str, bool]) -> bool:
    return token.startswith("--") or token in options or (len(token) > 2 and token[:2] in options)
