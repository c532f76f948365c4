"""Where kept logs are looked for."""

import pytest

from ferryml.bootstrap.kept_logs import kept_logs
from ferryml.domain.errors import NotFound
from ferryml.settings import ClusterSettings, SiteSettings


@pytest.mark.parametrize("backend", ["local", "kubernetes"])
def test_each_backend_has_its_folder(tmp_path, backend):
    site = SiteSettings(backend=backend, state_dir=tmp_path / "local")
    knobs = ClusterSettings(state_dir=tmp_path / "kubernetes")
    with pytest.raises(NotFound, match=f"{backend}/gateway.db"):
        kept_logs(site, knobs)
