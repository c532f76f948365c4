"""Reads settings from mappings, so that tests and programs decide where the text comes from."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import Refused
from ferryml.settings.knob import Settings

S = TypeVar("S", bound=Settings)


def load(model: type[S], environ: Mapping[str, str], file: Mapping[str, object] | None = None) -> S:
    """The settings of `model`: environment before file before default.

    `file` is the parsed settings file as a whole; only the section of `model` is read. Raises `Refused`
    (`BadValue`, `UnknownField`) naming the place where a wrong value was set, never the value of a secret.
    """
    said = _from_file(model, file or {}) | _from_environment(model, environ)
    try:
        return model.model_validate({name: value for name, (value, _) in said.items()})
    except ValidationError as error:
        raise _refusal("; ".join(_problem(said, dict(e)) for e in error.errors(include_url=False))) from error


def _from_file(model: type[Settings], file: Mapping[str, object]) -> dict[str, tuple[object, str]]:
    section = file.get(model.section, {})
    if not isinstance(section, Mapping):
        raise _refusal(f"`{model.section}` in the settings file must be a section of names and values")
    for name in section:
        _known(model, str(name), f"{model.section}.{name}", {n: f"{model.section}.{n}" for n in model.model_fields})
    return {str(name): (value, f"{model.section}.{name}") for name, value in section.items()}


def _from_environment(model: type[Settings], environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    names = {name: model.environment_name(name) for name in model.model_fields}
    fields = {variable: name for name, variable in names.items()}
    said: dict[str, tuple[object, str]] = {}
    for variable, value in environ.items():
        if variable.startswith(model.environment_name("")):
            _known(model, fields.get(variable, ""), variable, names)
            said[fields[variable]] = (value, variable)
    return said


def _known(model: type[Settings], name: str, where: str, names: Mapping[str, str]) -> None:
    if name in model.model_fields:
        return
    near = difflib.get_close_matches(where, names.values(), n=1)
    raise _refusal(f"{where} is not a setting" + (f"; did you mean {near[0]}?" if near else ""), "UnknownField")


def _problem(said: Mapping[str, tuple[object, str]], error: Mapping[str, object]) -> str:
    place = error["loc"]
    name = str(place[0]) if isinstance(place, tuple) and place else ""
    where = said[name][1] if name in said else name
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _refusal(message: str, code: Code = "BadValue") -> Refused:
    return Refused(code, message, hint="docs/settings.md lists every setting with its unit and default")
