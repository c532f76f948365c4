"""`ferry webhook`."""

import io
import json

from webhook_play import SECRET, URL

DOCUMENT = f"name: filed\ntype: webhook\nurl: {URL}\n"


def test_a_webhook_lives(ferry):
    made = ferry("webhook", "create", "-n", "mlops", "--url", URL)
    assert made.code == 0, made.err
    assert json.loads(made.out)["secret"].startswith("whsec_")
    assert "secret" not in json.loads(ferry("webhook", "show", "-n", "mlops").out)
    assert "mlops" in ferry("webhook", "list", "-o", "table").out
    changed = json.loads(ferry("webhook", "update", "-n", "mlops", "--url", "https://b.example/z").out)
    assert changed["url"] == "https://b.example/z"
    assert json.loads(ferry("webhook", "update", "-n", "mlops", "--set", "enabled=false").out)["phase"] == "Disabled"
    assert ferry("webhook", "delete", "-n", "mlops", "-y").code == 0


def test_a_secret_comes_by_standard_input(ferry, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    made = ferry("webhook", "create", "-n", "piped", "--url", URL, "--secret", "-")
    assert made.code == 0, made.err
    assert SECRET not in made.out + made.err
    assert "whsec_" not in made.out
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    said = ferry("webhook", "update", "-n", "piped", "--secret", "-")
    assert (said.code, "[BadValue]" in said.err, "wrong" in said.err) == (2, True, False)
    assert json.loads(ferry("webhook", "rotate-secret", "-n", "piped").out)["secret"].startswith("whsec_")


def test_from_files_and_by_apply(ferry, alone):
    (alone / "w.yml").write_text(DOCUMENT)
    assert ferry("webhook", "create", "-f", "w.yml").code == 0
    again = ferry("apply", "-f", "w.yml")
    assert "= webhook filed: unchanged" in again.out + again.err
    (alone / "w.yml").write_text(DOCUMENT + "description: better\n")
    assert ferry("apply", "-f", "w.yml").code == 0
    assert json.loads(ferry("webhook", "show", "-n", "filed").out)["description"] == "better"
    (alone / "w.yml").write_text(DOCUMENT + "secret: whsec_x\n")
    said = ferry("apply", "-f", "w.yml")
    assert ("[NotSupported]" in said.err, said.code) == (True, 1)


def test_apply_says_how_to_get_a_secret_and_shows_none(ferry, alone):
    (alone / "w.yml").write_text(DOCUMENT.replace("filed", "applied"))
    made = ferry("apply", "-f", "w.yml")
    assert made.code == 0, made.err
    assert "ferry webhook rotate-secret -n applied --revoke" in made.err
    assert "whsec_" not in made.out + made.err


def test_a_ping_says_how_it_went_and_ends_by_it(ferry, desk):
    ferry("webhook", "create", "-n", "tried", "--url", URL)
    good = ferry("webhook", "test", "-n", "tried")
    assert (good.code, json.loads(good.out)["status"]) == (0, 204)
    desk.posts.answer = lambda post: 500
    bad = ferry("webhook", "test", "-n", "tried")
    desk.posts.answer = lambda post: 204
    assert (bad.code, json.loads(bad.out)["reason"]) == (1, "the receiver answered 500")


def test_what_is_wrong_is_said(ferry):
    assert "[MissingField]" in ferry("webhook", "create", "-n", "nowhere").err
    assert "[NotFound]" in ferry("webhook", "test", "-n", "absent").err
    assert ferry("webhook", "create", "-n", "plain", "--url", "http://a.example/x").code == 2
