import pytest

from ferryml.domain.errors import Refused
from ferryml.store.shelves import FolderShelf, ObjectShelf, open_shelf


@pytest.mark.parametrize("url", ["{}/a b", "file://{}/a%20b"])
def test_folders_are_named_by_path_or_url(tmp_path, url):
    shelf = open_shelf(url.format(tmp_path))
    assert isinstance(shelf, FolderShelf)
    assert shelf.root == tmp_path / "a b"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/prefix?region=eu-west-1",
        "gs://bucket/prefix?skip_signature=true",
        "az://container/prefix?account_name=ada&skip_signature=true",
    ],
)
def test_object_stores_are_named_by_url(url):
    assert isinstance(open_shelf(url), ObjectShelf)


def test_a_secret_in_a_bad_address_is_not_repeated():
    with pytest.raises(Refused) as caught:
        open_shelf("s3://?secret_access_key=hidden&nonsense=1")
    assert "hidden" not in str(caught.value.as_dict())


def test_a_folder_lists_only_finished_content(tmp_path):
    shelf = FolderShelf(tmp_path)
    assert list(shelf.listing()) == []
    for name in ("sha256/ab/cd", "sha256/ab/.new-1", "spool/x.part", "readme"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"abc")
    assert list(shelf.listing()) == [("sha256/ab/cd", 3)]


def test_what_is_taken_cannot_be_changed_by_accident(tmp_path):
    shelf = FolderShelf(tmp_path / "shelf")
    (tmp_path / "new").write_bytes(b"abc")
    shelf.take(tmp_path / "new", "sha256/ab/cd")
    assert (tmp_path / "shelf/sha256/ab/cd").stat().st_mode & 0o222 == 0
