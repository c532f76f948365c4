"""Environments of the client: versions like others, and images that are built ahead."""

from __future__ import annotations

from ferryml.sdk import nouns
from ferryml.sdk.collections import Assets, Runs
from ferryml.sdk.flow import Json


class Environments(Assets):
    """Environments."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "environments")

    def build(self, name: str, version: str, compute: str) -> Json:
        """Build its image on the compute's site, or prepare its packages there; answers the job that does."""
        return self._run(nouns.act(self._workspace, self._plural, name, "build", {"compute": compute}, version))
