"""Files of true labels, as people have them: JSON lines, a JSON list, or CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from ferryml.domain.errors import Refused
from ferryml.sdk.overrides import value_of


def read_labels(file: Path) -> list[tuple[str, Any]]:
    """(request id, label) of each line. Raises Refused (FileNotFound, BadEncoding, BadValue) naming the line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("BadEncoding", f"{file} is not UTF-8", "Save it as UTF-8.") from error
    except OSError as error:
        raise Refused("FileNotFound", f"{file} cannot be read: {error.strerror}", "Name a file with labels.") from error
    if text.lstrip().startswith(("[", "{")):
        return [_pair(row, file, number) for number, row in enumerate(_json_rows(text, file), 1)]
    rows = csv.DictReader(text.splitlines())
    return [
        _pair({**row, "label": value_of(row.get("label") or "")}, file, number) for number, row in enumerate(rows, 2)
    ]


def _json_rows(text: str, file: Path) -> list[Any]:
    try:
        if text.lstrip().startswith("["):
            rows: list[Any] = json.loads(text)
            return rows
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise Refused("BadValue", f"{file} is not JSON: {error}", "Write one {request_id, label} a line.") from error


def _pair(row: Any, file: Path, number: int) -> tuple[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("request_id"), str) or "label" not in row:
        raise Refused("BadValue", f"{file}:{number}: request_id and label are needed", "Write {request_id, label}.")
    return row["request_id"], row["label"]
