"""Datastores: a place, the zone it binds to, and the only site that reaches it."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import assets, datastores
from ferryml.domain.errors import Conflict, NotFound, Refused

LOCAL = {"name": "disk", "type": "local", "root": "/data", "site": "onprem"}


def made(play, **document):
    return datastores.create(play.deps, OWNER, WORKSPACE, document)


def reach(play, name, path="x"):
    with play.store.read() as tx:
        return datastores.reach(tx, WORKSPACE, name, path)


def test_a_site_s_disk_binds_to_the_site_s_zone(play):
    play.site("onprem", "plant")
    made(play, **LOCAL)
    place, zone, site = reach(play, "disk")
    assert (place.root, place.path, zone, site) == ("/data", "x", "plant", "onprem")


@pytest.mark.parametrize(
    ("document", "root"),
    [
        ({"type": "s3", "bucket": "b", "prefix": "p", "endpoint": "http://s3"}, "s3://b/p"),
        ({"type": "gcs", "bucket": "b"}, "gs://b"),
        ({"type": "nfs", "server": "h", "export": "/e"}, "h:/e"),
        ({"type": "kubernetes_pvc", "claim_name": "c"}, "c"),
        ({"type": "azure_blob", "account_name": "a", "container_name": "c"}, "az://c"),
    ],
)
def test_each_type_has_its_root(play, document, root):
    made(play, name="d", **document)
    place, zone, site = reach(play, "d")
    assert (place.root, zone, site) == (root, "", "")


def test_a_site_that_is_not_there_is_refused(play):
    with pytest.raises(Refused):
        made(play, **LOCAL)
    play.site("onprem", "plant")
    with pytest.raises(Refused):
        made(play, **LOCAL, zone="elsewhere")


def test_zone_and_root_stay(play):
    play.site("onprem")
    made(play, **LOCAL)
    assert datastores.update(play.deps, OWNER, WORKSPACE, "disk", {"description": "d"})["description"] == "d"
    for change in ({"root": "/other"}, {"zone": "z"}, {"site": "x"}):
        with pytest.raises(Refused):
            datastores.update(play.deps, OWNER, WORKSPACE, "disk", change)


def test_one_with_data_on_it_is_not_deleted(play):
    play.site("onprem")
    made(play, **LOCAL)
    data = {"name": "d", "path": "azureml://datastores/disk/paths/d"}
    assets.create(play.deps, OWNER, WORKSPACE, "data", data)
    with pytest.raises(Conflict):
        datastores.delete(play.deps, OWNER, WORKSPACE, "disk")
    assets.archive(play.deps, OWNER, WORKSPACE, ("data", "d", "1"))
    datastores.delete(play.deps, OWNER, WORKSPACE, "disk")
    with pytest.raises(NotFound):
        reach(play, "disk")
    assert datastores.list_datastores(play.deps, OWNER, WORKSPACE) == []


def test_secrets_are_named_and_never_held(play):
    made(play, name="d", type="s3", bucket="b", secret_ref={"name": "s3-key"})
    place, _, _ = reach(play, "d")
    assert place.options["secret"] == "s3-key"
    assert datastores.show(play.deps, OWNER, WORKSPACE, "d")["secret_ref"] == {"name": "s3-key", "keys": {}}


def test_a_claim_s_prefix_travels_with_its_places(play):
    made(play, name="d", type="kubernetes_pvc", claim_name="c", prefix="team-a")
    place, _, _ = reach(play, "d")
    assert place.options["prefix"] == "team-a"
