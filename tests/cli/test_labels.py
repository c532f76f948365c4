"""Files of true labels."""

import pytest

from ferryml.cli.labels import read_labels
from ferryml.domain.errors import Refused


@pytest.mark.parametrize(
    "text",
    [
        '{"request_id": "a", "label": 1}\n\n{"request_id": "b", "label": "x"}\n',
        '[{"request_id": "a", "label": 1}, {"request_id": "b", "label": "x"}]',
        "request_id,label\na,1\nb,x\n",
    ],
)
def test_every_common_form_is_read(tmp_path, text):
    file = tmp_path / "labels"
    file.write_text(text)
    assert read_labels(file) == [("a", 1), ("b", "x")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"request_id": 1, "label": 2}', "BadValue"),
        (b"{", "BadValue"),
        (b"a,b\n1,2\n", "BadValue"),
        (b"\xff", "BadEncoding"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, data, code):
    file = tmp_path / "labels"
    file.write_bytes(data)
    with pytest.raises(Refused) as caught:
        read_labels(file)
    assert caught.value.code == code


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(Refused, match="nothing"):
        read_labels(tmp_path / "nothing")
