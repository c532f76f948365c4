"""Webhooks through the client."""

import pytest

from ferryml.domain.errors import NotFound
from ferryml.domain.spec import Webhook
from webhook_play import SECRET, URL


def test_a_webhook_s_life(client):
    made = client.webhooks.create(Webhook(name="sdk1", url=URL))
    assert made["secret"].startswith("whsec_")
    assert client.webhooks.get("sdk1")["url"] == URL
    assert client.webhooks.update("sdk1", {"enabled": False})["phase"] == "Disabled"
    assert "sdk1" in [one["name"] for one in client.webhooks.list()]
    client.webhooks.delete("sdk1")
    with pytest.raises(NotFound):
        client.webhooks.get("sdk1")


def test_a_secret_is_given_or_made(client):
    assert "secret" not in client.webhooks.create({"name": "sdk2", "url": URL}, secret=SECRET)
    assert client.webhooks.rotate_secret("sdk2")["secret"] != SECRET
    assert client.webhooks.rotate_secret("sdk2", SECRET, revoke=True)["old_valid_until"] is None


def test_a_ping(client):
    client.webhooks.create({"name": "sdk3", "url": URL})
    assert client.webhooks.test("sdk3")["ok"] is True
