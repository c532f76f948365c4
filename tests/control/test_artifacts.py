"""Files: once per content, checked, resumable, and never another workspace's."""

import pytest

from control_play import OWNER, WORKSPACE, tree_of
from ferryml.compile.tree import bytes_digest, tree_bytes
from ferryml.control import artifacts, workspaces
from ferryml.domain.access import Caller
from ferryml.domain.errors import FerryError, NotFound, Refused, TooLarge
from ferryml.domain.orders import Tree, TreeEntry

DATA = b"0123456789"
DIGEST = bytes_digest(DATA)


def begin(play, digest=DIGEST, size=10, caller=OWNER):
    return artifacts.start(play.deps, caller, WORKSPACE, digest, size)


def opened(play, started, caller=OWNER, workspace=WORKSPACE):
    return artifacts.opened(play.deps, started["id"], workspace, caller.token)


def test_an_upload_goes_on_where_it_stopped(play):
    started = begin(play)
    assert (started["offset"], started["done"]) == (0, False)
    assert artifacts.append(play.deps, opened(play, started), 0, [DATA[:4]]) == 4
    again = begin(play)
    assert again["offset"] == 4
    artifacts.append(play.deps, opened(play, again), 4, [DATA[4:]])
    assert artifacts.finish(play.deps, opened(play, again)) == {"digest": DIGEST, "size": 10}
    artifacts.finish(play.deps, opened(play, again))
    assert begin(play)["done"]
    assert artifacts.missing(play.deps, OWNER, WORKSPACE, [DIGEST]) == []


def test_an_upload_at_the_wrong_place_is_refused(play):
    upload = opened(play, begin(play))
    with pytest.raises(Refused) as caught:
        artifacts.append(play.deps, upload, 5, [b"x"])
    assert caught.value.code == "OffsetMismatch"


def test_more_than_was_said_is_refused(play):
    with pytest.raises(TooLarge):
        artifacts.append(play.deps, opened(play, begin(play)), 0, [DATA + b"x"])
    with pytest.raises(TooLarge):
        begin(play, size=play.settings.max_upload_bytes + 1)


def test_other_bytes_are_refused(play):
    upload = opened(play, begin(play))
    artifacts.append(play.deps, upload, 0, [b"9876543210"])
    with pytest.raises(Refused) as caught:
        artifacts.finish(play.deps, upload)
    assert caught.value.code == "DigestMismatch"
    assert artifacts.missing(play.deps, OWNER, WORKSPACE, [DIGEST]) == [DIGEST]
    with pytest.raises(Refused):
        artifacts.put(play.deps, OWNER, WORKSPACE, DIGEST, b"other")


def test_an_upload_is_its_owner_s_alone(play):
    started = begin(play)
    for ident, who, where in (
        (started["id"], "tok2", WORKSPACE), (started["id"], OWNER.token, "other"), ("forged", OWNER.token, WORKSPACE)
    ):  # fmt: skip
        with pytest.raises(NotFound):
            artifacts.opened(play.deps, ident, where, who)


def test_another_workspace_sees_nothing_and_learns_nothing(play):
    workspaces.create(play.deps, OWNER, {"name": "other"})
    play.upload(DATA)
    eve = Caller("eve", "owner", "other", "tok9")
    assert artifacts.missing(play.deps, eve, "other", [DIGEST]) == [DIGEST]
    with pytest.raises(NotFound):
        artifacts.size_of(play.deps, eve, "other", DIGEST)
    with pytest.raises(NotFound):
        artifacts.size_of(play.deps, eve, WORKSPACE, DIGEST)


def test_a_manifest_does_not_open_other_workspaces_files(play):
    workspaces.create(play.deps, OWNER, {"name": "other"})
    play.upload(b"their secret", "other")
    tree = tree_of({"stolen": b"their secret"})
    digest = play.upload(tree_bytes(tree))
    with pytest.raises(NotFound) as caught:
        artifacts.manifest(play.deps, WORKSPACE, digest)
    assert caught.value.code == "BlobMissing"


def test_a_manifest_must_tell_the_truth(play):
    play.upload(DATA)
    lying = Tree(entries=(TreeEntry(path="a", digest=DIGEST, size=1),))
    with pytest.raises(Refused):
        artifacts.manifest(play.deps, WORKSPACE, play.upload(tree_bytes(lying)))
    escaping = b'{"entries":[{"path":"../a","digest":"%s","size":10,"executable":false}]}' % DIGEST.encode()
    with pytest.raises(Refused) as caught:
        artifacts.manifest(play.deps, WORKSPACE, play.upload(escaping))
    assert caught.value.code == "PathEscapes"
    with pytest.raises(Refused):
        artifacts.manifest(play.deps, WORKSPACE, DIGEST)


def test_what_is_in_a_site_only_is_said_so(play):
    with play.store.begin() as tx:
        tx.link_blob(WORKSPACE, DIGEST, 10, "onprem")
    with pytest.raises(NotFound, match="in site onprem only"):
        artifacts.visible(play.deps, WORKSPACE, DIGEST)
    assert artifacts.missing(play.deps, OWNER, WORKSPACE, [DIGEST]) == [DIGEST]


@pytest.mark.parametrize("digest", ["", "sha256:", "md5:" + "0" * 64, "sha256:" + "G" * 64, "sha256:" + "0" * 65])
def test_what_is_no_digest_is_refused(play, digest):
    with pytest.raises(FerryError):
        begin(play, digest)


def test_too_many_questions_are_refused(play):
    with pytest.raises(TooLarge):
        artifacts.missing(play.deps, OWNER, WORKSPACE, [DIGEST] * (artifacts.MAX_ASKED + 1))


def test_paths_of_mlflow_become_a_folder(play):
    play.upload(DATA)
    with play.store.begin() as tx:
        tx.put_path(WORKSPACE, "0/run/artifacts/model/MLmodel", DIGEST, 10)
    found = artifacts.of_paths(play.deps, WORKSPACE, "0/run/artifacts/model")
    assert (found.name, found.size, found.kind) == ("model", 10, "tree")
    assert [entry.path for entry in artifacts.manifest(play.deps, WORKSPACE, found.digest).entries] == ["MLmodel"]
    assert artifacts.of_paths(play.deps, WORKSPACE, "0/run/artifacts/model/MLmodel").kind == "file"
    with pytest.raises(NotFound):
        artifacts.of_paths(play.deps, WORKSPACE, "0/none")
