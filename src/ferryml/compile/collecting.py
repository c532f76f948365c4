"""How records that a scoring script makes by itself find Ferry's door.

The script uses the package `azureml-ai-monitoring` as it is. It reads its settings from a file that
`AZUREML_MDC_CONFIG_PATH` names, and posts each record to `http://AZUREML_MDC_HOST:AZUREML_MDC_PORT/modeldata/log`.
"""

from __future__ import annotations

import json
from typing import Any

from ferryml.domain.collection import pattern
from ferryml.domain.orders import CollectionOrder, RevisionOrder

CONFIG = "mdc-config.json"
"""The file of settings, wherever a site puts it."""
HERE = "127.0.0.1,localhost"


def script_collections(revision: RevisionOrder) -> CollectionOrder | None:
    """What is to be collected, where the script itself collects."""
    return revision.collect if revision.collect is not None and revision.collect.script else None


def settings_file(asked: CollectionOrder) -> str:
    """Content of CONFIG. Names are in small letters there: the package looks for them so."""
    shares = {
        name.lower(): {"enabled": True, "sampleRatePercentage": share * 100} for name, share in asked.script.items()
    }
    return json.dumps({"runMode": "cloud", "collections": shares}, sort_keys=True)


def script_variables(file: str, host: str, port: int) -> dict[str, str]:
    """Where the package finds its settings and the door; the door is never behind a proxy."""
    return {
        "AZUREML_MDC_CONFIG_PATH": file, "AZUREML_MDC_HOST": host, "AZUREML_MDC_PORT": str(port),
        "NO_PROXY": HERE, "no_proxy": HERE,
    }  # fmt: skip


def told_to_the_door(uid: str, endpoint: str, revision: RevisionOrder, asked: CollectionOrder) -> dict[str, Any]:
    """What `ferryml.runner.modeldata.Target` is made of."""
    return {
        "uid": uid, "endpoint": endpoint, "deployment": revision.deployment, "revision": revision.revision,
        "model_version": revision.model_name.rpartition(":")[2], "collections": sorted(asked.script),
        "partition": pattern(asked.rolling),
    }  # fmt: skip
