"""Datastores: each type has its own fields, none has a secret."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import Datastore
from ferryml.domain.spec.datastore import FIELDS


@pytest.mark.parametrize("kind", FIELDS)
def test_each_type_needs_its_fields(kind):
    needed, _ = FIELDS[kind]
    given = {"root": "/data", "site": "onprem"}
    full = {"name": "d", "type": kind, **{field: given.get(field, "x") for field in needed}}
    assert parse(Datastore, full).spec.type == kind
    for field in needed:
        with pytest.raises(Refused) as refused:
            parse(Datastore, {key: value for key, value in full.items() if key != field})
        assert refused.value.code == "MissingField"
        assert field in refused.value.message


def test_fields_of_other_types_are_unknown():
    with pytest.raises(Refused, match="'bucket' is not a field of datastores of type nfs") as refused:
        parse(Datastore, {"name": "d", "type": "nfs", "server": "s", "export": "/e", "bucket": "b"})
    assert refused.value.code == "UnknownField"


def test_secrets_are_refused_and_never_repeated():
    data = {"name": "d", "type": "s3", "bucket": "b", "credentials": {"secret_access_key": "hunter2"}}
    with pytest.raises(Refused, match="secret_ref") as refused:
        parse(Datastore, data)
    assert "hunter2" not in str(refused.value.as_dict())


def test_a_secret_is_named():
    data = {"name": "d", "type": "S3", "bucket": "b", "secret_ref": {"name": "s3-key"}, "zone": "eu"}
    made = parse(Datastore, data).spec
    assert (made.secret_ref.name, made.zone) == ("s3-key", "eu")


def test_local_root_is_absolute():
    with pytest.raises(Refused, match="absolute"):
        parse(Datastore, {"name": "d", "type": "local", "root": "data", "site": "onprem"})
