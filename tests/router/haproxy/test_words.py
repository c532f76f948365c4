"""Text survives HAProxy's quoting, and answers are JSON in the one error shape."""

import json
import shlex

from hypothesis import given
from hypothesis import strategies as some

from ferryml.router.haproxy.words import error_body, log_of, quoted, returned, returned_later

LINE = some.text(some.characters(exclude_characters="\n\r\x00", exclude_categories=("Cs",)))


@given(LINE)
def test_a_quoted_text_is_one_word(text):
    assert shlex.split(quoted(text)) == [text]


def test_a_body_is_the_error_shape():
    body = shlex.split(error_body("ModelFailed", "the model's end", "Wait.", '"status": %[var(txn.model)]'))[0]
    said = json.loads(body.replace("%[var(txn.model)]", "500"))
    assert said == {
        "error": {"code": "ModelFailed", "message": "the model's end", "hint": "Wait.", "details": {"status": 500}},
        "request_id": "%[var(txn.rid)]",
    }


def test_rules_say_status_kind_and_condition():
    assert returned(401, "'x'", "if a", "www-authenticate Bearer") == (
        "http-request return status 401 content-type application/json hdr www-authenticate Bearer lf-string 'x' if a"
    )
    assert returned_later(502, "'x'", "if a").startswith("http-response return status 502 ")
    assert log_of("events", 512, "%ST")[1] == 'log-format "%ST"'
