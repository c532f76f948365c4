"""/webhooks over HTTP."""

import pytest

from http_play import Http, W, fault
from webhook_play import SECRET, URL, Hooks

H = f"{W}/webhooks"


@pytest.fixture
def http(tmp_path):
    made = Http(tmp_path)
    yield made
    made.close()


def test_a_webhook_s_life(http):
    owner = http.as_()
    made = owner.post(H, json={"name": "mlops", "url": URL})
    assert (made.status_code, made.json()["phase"]) == (201, "Active")
    assert made.json()["secret"].startswith("whsec_")
    assert "secret" not in owner.get(f"{H}/mlops").json()
    assert [one["name"] for one in owner.get(H).json()["items"]] == ["mlops"]
    assert owner.patch(f"{H}/mlops", json={"description": "d"}).json()["description"] == "d"
    assert owner.post(f"{H}/mlops/test").json()["status"] == 204
    assert owner.delete(f"{H}/mlops").status_code == 204
    assert fault(owner.get(f"{H}/mlops")) == (404, "NotFound")


def test_secrets_are_replaced_with_and_without_a_body(http):
    owner = http.as_()
    owner.post(H, json={"name": "mlops", "url": URL, "secret": SECRET})
    assert owner.post(f"{H}/mlops/rotate-secret").json()["secret"].startswith("whsec_")
    said = owner.post(f"{H}/mlops/rotate-secret", json={"secret": SECRET, "revoke": True}).json()
    assert said == {"name": "mlops", "old_valid_until": None}


def test_faults_have_their_codes_and_repeat_no_secret(http):
    owner = http.as_()
    assert fault(owner.post(H, json={"name": "m", "url": "http://x/y"})) == (400, "BadValue")
    assert fault(owner.post(H, json={"name": "m", "url": URL, "urls": 1})) == (400, "UnknownField")
    assert fault(owner.post(f"{H}/none/test")) == (404, "NotFound")
    owner.post(H, json={"name": "m", "url": URL})
    assert fault(owner.post(H, json={"name": "m", "url": URL})) == (409, "AlreadyExists")
    for said in (
        owner.post(H, json={"name": "n", "url": URL, "secret": "hidden-secret"}),
        owner.post(f"{H}/m/rotate-secret", json={"secret": "hidden-secret"}),
        owner.patch(f"{H}/m", json={"secret": "hidden-secret"}),
    ):
        assert said.status_code == 400
        assert "hidden-secret" not in said.text


def test_who_names_one_keeps_it(http):
    hooks = Hooks(http)
    hooks.make()
    hooks.automation()
    said = http.as_().delete(f"{H}/mlops")
    assert fault(said) == (409, "InUse")
    assert said.json()["error"]["details"] == {"users": ["automation loop"]}


def test_a_link_in_an_event_leads_to_its_run(http):
    hooks = Hooks(http)
    hooks.make()
    hooks.automation(on=("promoted",))
    hooks.run()
    hooks.turns()
    url = http.posts.arrived[0].event()["data"]["url"]
    run = http.as_("reader").get(url.partition("/api/")[1] + url.partition("/api/")[2]).json()
    assert (run["state"], run["model"]) == ("promoted", "partner:1")
