"""The nouns of a client, against the real use cases."""

import pytest

from ferryml.domain.errors import Conflict, NotFound, Refused


def test_a_noun_lives_and_dies(client):
    made = client.datastores.create({"name": "c1", "type": "local", "root": "/d", "site": "cloud"})
    assert client.datastores.get("c1")["id"] == made["id"]
    assert client.datastores.update("c1", {"description": "x"})["description"] == "x"
    assert [one["name"] for one in client.datastores.list()] == ["c1"]
    client.datastores.delete("c1")
    with pytest.raises(NotFound):
        client.datastores.get("c1")


def test_jobs_are_asked_everything(client, desk):
    job = client.jobs.create({"command": "true", "environment": {"pip_requirements": ["numpy"]}, "compute": "c1"})
    assert client.jobs.explain(job["name"])["status"] == "NotStarted"
    assert client.jobs.logs(job["name"]) == []
    assert client.jobs.cancel(job["name"])["status"] == "Canceled"
    assert client.jobs.archive(job["name"])["archived"]
    assert not client.jobs.restore(job["name"])["archived"]


def test_sites_and_workspaces_are_the_servers(client):
    assert client.sites.create({"name": "far"})["join_token"] != client.sites.token("far")["join_token"]
    assert {site["name"] for site in client.sites.list()} == {"cloud", "far"}
    assert client.sites.update("far", {"description": "x"})["description"] == "x"
    client.sites.delete("far")
    assert client.workspaces.create({"name": "w2"})["name"] == client.workspaces.get("w2")["name"]


def test_a_name_is_never_given_twice(client):
    client.online_endpoints.create({"name": "ep1", "compute": "c1"})
    with pytest.raises(Conflict):
        client.online_endpoints.create({"name": "ep1", "compute": "c1"})
    assert client.online_deployments.list("ep1") == []
    with pytest.raises(NotFound):
        client.online_deployments.get("ep1", "blue")


def test_references_have_no_files_here(client, tmp_path):
    client.data.create({"name": "far", "type": "uri_file", "path": "https://example.com/x.csv"})
    with pytest.raises(Refused) as caught:
        client.data.download("far", "1", tmp_path)
    assert caught.value.code == "NotSupported"
