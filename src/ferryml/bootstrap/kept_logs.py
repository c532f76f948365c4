"""Where the logs that stay on a site are found: in the state folder of its machine, or of its gateway's pod."""

from __future__ import annotations

from ferryml.gateway.kept_logs import KeptLogs
from ferryml.settings import ClusterSettings, SiteSettings


def kept_logs(settings: SiteSettings, knobs: ClusterSettings) -> KeptLogs:
    """Raises NotFound when no gateway has run here."""
    folder = knobs.state_dir if settings.backend == "kubernetes" else settings.state_dir
    return KeptLogs(folder / "gateway.db")
