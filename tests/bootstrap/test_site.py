"""What can be said of a site's program without running one; tests/system/test_site.py runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryml.bootstrap.site import alone, build
from ferryml.domain.errors import Refused
from ferryml.settings import SiteSettings


def test_a_stranger_needs_a_join_token(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        build(SiteSettings(state_dir=tmp_path / "x"))
    assert caught.value.code == "MissingField"
    assert not (tmp_path / "x" / "enrolled.json").exists()


def test_only_one_site_works_on_a_folder(tmp_path: Path) -> None:
    with alone(tmp_path / "state"), pytest.raises(Refused) as caught, alone(tmp_path / "state"):
        pass
    assert caught.value.code == "AlreadyRunning"
    with alone(tmp_path / "state"):
        pass


def test_the_other_backend_is_not_this_program(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        build(SiteSettings(state_dir=tmp_path, backend="kubernetes"))
    assert caught.value.code == "NotSupported"
