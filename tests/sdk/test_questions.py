"""What a client is asked besides its nouns."""

import pytest

from ferryml.domain.errors import NotFound
from ferryml.sdk.questions import found


def test_the_server_answers_about_itself(client):
    assert client.whoami()["role"] == "owner"
    assert client.version()["protocol"] >= 1
    assert client.set_aliases({"compute": {"x": "c1"}})["compute"] == {"x": "c1"}
    assert client.aliases()["compute"] == {"x": "c1"}
    events = client.events(limit=1)
    assert len(events) == 1
    assert client.events(after=events[0]["seq"])[0]["seq"] > events[0]["seq"]
    assert client.audit(limit=2)[0]["seq"] < client.audit(limit=2)[1]["seq"]
    assert client.lineage("job:none")["edges"] == []
    with pytest.raises(NotFound):
        client.trace("../whoami")


def test_where_to_go(alone):
    target, workspace = found({"FERRY_URL": "http://x", "FERRY_CONFIG": "none"}, {"workspace": "w"})
    assert (target.url, workspace) == ("http://x", "w")
