import pytest

from ferryml.compile.kubernetes.mounts import DataMounts, claim_path
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath


def a_place(kind="nfs", root="nas:/export/a", path="d/x", name="nas", **options):
    return DatastorePath(datastore=name, kind=kind, root=root, path=path, options=options)


def a_claim(name, path="/mnt/data", label="true", modes=("ReadWriteMany",)):
    return {
        "metadata": {
            "name": name, "labels": {"ml.azure.com/pvc": label}, "annotations": {"ml.azure.com/mountpath": path},
        },
        "spec": {"accessModes": list(modes)},
    }  # fmt: skip


def test_a_share_is_mounted_once_for_reading_and_once_for_writing():
    mounts = DataMounts("team")
    paths = [mounts.path(a_place(path=path), write) for path, write in (("a", False), ("b", False), ("c", True))]
    assert paths == ["/ferry-data/ro/nas/a", "/ferry-data/ro/nas/b", "/ferry-data/rw/nas/c"]
    assert mounts.volumes == [{"name": "data-0", "nfs": {"server": "nas", "path": "/export/a"}}]
    assert [(mount["mountPath"], mount["readOnly"]) for mount in mounts.shared] == [
        ("/ferry-data/ro/nas", True), ("/ferry-data/rw/nas", False),
    ]  # fmt: skip


def test_a_claim_shows_only_what_lies_below_its_prefix():
    mounts = DataMounts("team")
    mounts.path(a_place("kubernetes_pvc", "big", prefix="/team-a/"), write=False)
    assert mounts.volumes == [{"name": "data-0", "persistentVolumeClaim": {"claimName": "big"}}]
    assert mounts.shared[0]["subPath"] == "team-a"


def test_two_datastores_on_one_claim_share_its_volume():
    mounts = DataMounts("team")
    for name in ("a", "b"):
        mounts.path(a_place("kubernetes_pvc", "big", name=name), write=False)
    assert (len(mounts.volumes), len(mounts.shared)) == (1, 2)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (a_place(path="../x"), "PathEscapes"),
        (a_place(path="a/../../nas2/x"), "PathEscapes"),
        (a_place("kubernetes_pvc", "big", prefix="../x"), "PathEscapes"),
        (a_place("kubernetes_pvc", "big", namespace="other"), "NotSupported"),
        (a_place("local", "/data"), "NotSupported"),
        (a_place(root="nas"), "BadValue"),
        (a_place(name=".."), "PathEscapes"),
    ],
)
def test_what_cannot_be_mounted_here_is_refused(place, code):
    with pytest.raises(Refused) as caught:
        DataMounts("team").path(place, write=False)
    assert caught.value.code == code


def test_the_top_of_a_datastore_is_a_place_too():
    assert DataMounts("team").path(a_place(path="/"), write=False) == "/ferry-data/ro/nas"


def test_labelled_claims_are_mounted_into_the_program_alone():
    mounts = DataMounts("team")
    mounts.labelled([a_claim("a"), {"metadata": {"name": "unlabelled"}}, a_claim("b", label="false")])
    assert [mount["mountPath"] for mount in mounts.own] == ["/mnt/data"]
    assert (mounts.shared, mounts.notes) == ([], [])


def test_claims_that_may_only_be_read_are_mounted_so():
    mounts = DataMounts("team")
    mounts.labelled([a_claim("a", modes=["ReadOnlyMany"])])
    assert mounts.own[0]["readOnly"] is True


@pytest.mark.parametrize("path", ["", "mnt", "/ferry/job", "/dev/shm", "/", "/mnt/../x", "/a:b", "/ferry-data"])
def test_a_bad_path_is_reported_and_left_out(path):
    mounts = DataMounts("team")
    mounts.labelled([a_claim("a", path)])
    assert mounts.own == []
    assert mounts.notes[0].startswith("claim a is not mounted: ")


def test_of_two_claims_for_one_path_the_first_by_name_stays():
    mounts = DataMounts("team")
    mounts.labelled([a_claim("b", "/mnt/data/"), a_claim("a")])
    assert mounts.volumes[0]["persistentVolumeClaim"]["claimName"] == "a"
    assert mounts.notes == ["claim b is not mounted: /mnt/data is taken by claim a"]


def test_a_claim_of_one_node_is_named_to_a_job_of_several():
    mounts = DataMounts("team")
    mounts.labelled([a_claim("a", modes=["ReadWriteOnce"])], instances=2)
    assert "other nodes" in mounts.notes[0]
    assert len(mounts.own) == 1


def test_only_the_label_asks_for_mounting():
    assert claim_path(a_claim("a", "/mnt/x/")) == "/mnt/x"
    assert claim_path({"metadata": {"name": "a", "annotations": {"ml.azure.com/mountpath": "/mnt/x"}}}) is None
