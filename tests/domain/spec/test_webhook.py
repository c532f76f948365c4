"""The webhook's document: strict, and without a secret."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec.webhook import Webhook

URL = "https://hooks.example/x"


def test_what_it_is_when_nothing_else_is_said():
    made = parse(Webhook, {"name": "mlops", "url": URL}).spec
    assert (made.type, made.enabled, made.tags) == ("webhook", True, {})


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"name": "m"}, "MissingField"), ({"name": "m", "url": "http:/x"}, "BadValue"),
        ({"name": "m m", "url": URL}, "BadName"), ({"name": "m", "url": URL, "urls": 1}, "UnknownField"),
        ({"name": "m", "url": URL, "secret": "whsec_hidden"}, "NotSupported"),
        ({"name": "m", "url": "https://u:hidden@x/"}, "BadValue"),
    ],
)  # fmt: skip
def test_refuses(document, code):
    with pytest.raises(Refused) as caught:
        parse(Webhook, document)
    assert caught.value.code == code
    assert "hidden" not in str(caught.value.as_dict())
