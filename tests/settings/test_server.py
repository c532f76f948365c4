"""Combinations of server settings that cannot work are refused."""

import pytest

from ferryml.settings import ServerSettings


def test_half_of_tls_is_refused():
    with pytest.raises(ValueError, match="go together"):
        ServerSettings(tls_cert="cert.pem")


@pytest.mark.parametrize("artifacts_url", ["", "file:///data"])
def test_replicas_refuse_local_files(artifacts_url):
    with pytest.raises(ValueError, match="object store"):
        ServerSettings(replicas=2, database_url="postgresql+psycopg://h/db", artifacts_url=artifacts_url)


def test_replicas_on_shared_storage_are_fine():
    url = "postgresql+psycopg://h/db"
    assert ServerSettings(replicas=2, database_url=url, artifacts_url="s3://bucket/x").replicas == 2
