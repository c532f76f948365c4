"""What a site says of itself in its heartbeat."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from ferryml.domain.link import Heartbeat
from ferryml.settings import SiteSettings


def heartbeat(settings: SiteSettings, router_url: str, now: datetime) -> Heartbeat:
    return Heartbeat(
        version=version(),
        capabilities=(
            "jobs",
            "online-endpoints",
            "rollouts",
            "feedback",
            "mlflow",
            *(("connect",) if settings.connect else ()),
        ),
        inventory={
            "hostname": platform.node(),
            "backend": settings.backend,
            "cpus": os.cpu_count() or 1,
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "disk_free_bytes": shutil.disk_usage(settings.state_dir).free,
            "pythons": [platform.python_version()],
            "platform": sys.platform,
            "router_url": router_url,
            "instance_types": [],
            "accept_zone_bound": settings.accept_zone_bound,
            "max_parallel_jobs": settings.max_parallel_jobs or os.cpu_count() or 1,
        },
        at=now,
    )


def version() -> str:
    """Of the installed distribution; `0` in a bare checkout."""
    try:
        return installed("ferryml")
    except PackageNotFoundError:
        return "0"
