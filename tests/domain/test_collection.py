"""Where records of a moment go, and which batches are none."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from ferryml.domain.collection import Batch, asset_name, partition

AT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
GOOD = {
    "uid": "endpoint.ws.e", "deployment": "blue", "collection": "request", "partition": "2026/03/04/05", "name": "r-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("rolling", "folder"),
    [("minute", "2026/03/04/05/06"), ("hour", "2026/03/04/05"), ("day", "2026/03/04"), ("month", "2026/03"),
     ("year", "2026")],
)  # fmt: skip
def test_spans_are_folders(rolling, folder):
    assert partition(AT, rolling) == folder
    batch = Batch(**{**GOOD, "partition": folder})
    assert (batch.path, batch.rolling) == (f"{folder}/r-1.jsonl", rolling)


@pytest.mark.parametrize(
    "change",
    [{"uid": "job.w.j"}, {"uid": "endpoint.w/../e"}, {"deployment": ".."}, {"collection": "a/b"}, {"name": ""},
     {"partition": "2026/../.."}, {"partition": "2026/03/04/05/06/07"}, {"name": "x" * 99}],
    ids=str,
)  # fmt: skip
def test_what_could_leave_its_folder_is_no_batch(change):
    with pytest.raises(ValidationError):
        Batch(**GOOD | change)


def test_assets_are_named_as_elsewhere():
    assert asset_name("digits", "blue", "request") == "digits-blue-request"
