"""The one line that joins a site: printed when the site is named, run where the site is."""

from __future__ import annotations

import re
import shlex

NAMESPACE = "ferry-system"


def commands(url: str, site: str, token: str, chart: str) -> dict[str, str]:
    """By what there is: `helm` and `kubectl` for a cluster, `command` for a machine without one.

    Args:
        url: where sites reach the server.
        chart: where people find the chart ferry-agent.
    """
    values = {"site.name": site, "site.server_url": url, "joinToken": token}
    chosen = " ".join(f"--set-string {shlex.quote(f'{name}={_helm(value)}')}" for name, value in values.items())
    told = f"--server {shlex.quote(url)} --join-token {shlex.quote(token)}"
    place = f"{shlex.quote(chart)} --namespace {NAMESPACE} --create-namespace"
    return {
        "command": f"ferry agent run --url {shlex.quote(url)} --join-token {shlex.quote(token)}",
        "helm": f"helm upgrade --install ferry-agent {place} {chosen}",
        "kubectl": f"ferry site manifests -n {site} {told} | kubectl apply --server-side -f -",
    }


def _helm(value: str) -> str:
    """As --set takes it: commas part values there, and braces make lists."""
    return re.sub(r"([,{}\\])", r"\\\1", value)
