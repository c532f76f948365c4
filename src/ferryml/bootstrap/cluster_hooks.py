"""What a chart's hooks run: custom resource definitions before an installation, an orderly end before its removal.

`python -m ferryml.bootstrap.cluster_hooks definitions`
`python -m ferryml.bootstrap.cluster_hooks remove --system NAMESPACE [--namespaces A,B] [--purge]`
Neither needs the server, nor the agent.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ferryml.backends.kubernetes.access import find_access
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.kinds import (
    ALIAS_INSTANCE_TYPES,
    CONFIG_MAPS,
    CRDS,
    DEPLOYMENTS,
    JOBS,
    ML_JOBS,
    NETWORK_POLICIES,
    ONLINE_ENDPOINTS,
    POD_BUDGETS,
    PODS,
    SERVICES,
    Kind,
)
from ferryml.backends.kubernetes.kube import Kube, Manifest, labels_of, name_of, namespace_of
from ferryml.compile.install.access import OUR_DEFINITIONS
from ferryml.compile.install.kit import AGENT, PART_OF
from ferryml.compile.kubernetes import labels
from ferryml.compile.kubernetes.crds import definitions
from ferryml.domain.errors import FerryError, Forbidden, NotFound

PATIENCE_S = 120.0
"""How long pods may take to end by themselves; then they are ended."""
PAUSE_S = 0.5
WISHES = (ML_JOBS, ONLINE_ENDPOINTS)
WORKLOADS = (*WISHES, JOBS, DEPLOYMENTS, SERVICES, CONFIG_MAPS, NETWORK_POLICIES, POD_BUDGETS)
BESIDE_PROGRAMS = (*WISHES, CONFIG_MAPS, PODS)
"""Of these some may be in the namespace of Ferry's own programs, where no work runs."""
FOREIGN = (f"{ALIAS_INSTANCE_TYPES.plural}.{ALIAS_INSTANCE_TYPES.group}",)
"""Definitions that may belong to somebody else: made when absent, never changed, never removed."""
Say = Callable[[str], None]


def define(kube: Kube, documents: Iterable[Manifest], say: Say) -> None:
    """The cluster knows Ferry's kinds afterwards, in their newest form."""
    for body in documents:
        name = name_of(body)
        if name in FOREIGN and kube.get(CRDS, "", name) is not None:
            say(f"{name} is here already and stays as it is")
            continue
        kube.apply(body)
        say(f"{name} is defined")


class Removal:
    """Takes away what Ferry made for its users, so that nothing of it is left and nothing comes back.

    Args:
        system: namespace of Ferry's own programs.
        namespaces: where work may be; empty: everywhere.
        wait: pauses for some seconds.
    """

    def __init__(
        self, kube: Kube, system: str, namespaces: Sequence[str], say: Say,
        wait: Callable[[float], None] = time.sleep, patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self._kube, self._system, self._say = kube, system, say
        self._namespaces = tuple(dict.fromkeys((system, *namespaces))) if namespaces else ("",)
        self._wait, self._patience_s = wait, patience_s

    def run(self, purge: bool = False) -> None:
        """The agent first, for it would make anew what is taken away. Pods that do not end in time are ended."""
        self._stop_agent()
        for kind in WORKLOADS:
            for body in self._all(kind):
                self._kube.delete(kind, namespace_of(body), name_of(body))
                self._say(f"removed {kind.kind} {namespace_of(body)}/{name_of(body)}")
        self._gone(lambda: self._all(PODS))
        if purge:
            for name in OUR_DEFINITIONS:
                self._kube.delete(CRDS, "", name)
                self._say(f"removed the definition {name}")

    def _stop_agent(self) -> None:
        try:
            self._kube.patch(DEPLOYMENTS, self._system, AGENT, {"spec": {"replicas": 0}})
        except NotFound:
            return
        self._say("the agent is stopped")
        mine = labels.selector({"app.kubernetes.io/name": AGENT})
        self._gone(lambda: iter(self._kube.list(PODS, self._system, mine).items))

    def _all(self, kind: Kind) -> Iterator[Manifest]:
        """Of Ferry's in all namespaces; hand-made wishes too, for nobody would carry them out any more."""
        chosen = "" if kind in WISHES else labels.selector(labels.MANAGED)
        for namespace in self._namespaces:
            if namespace == self._system and kind not in BESIDE_PROGRAMS:
                continue
            try:
                yield from (one for one in self._kube.list(kind, namespace, chosen).items if not _installed(one))
            except (Forbidden, NotFound) as error:
                # a namespace that is gone has taken its RoleBinding along
                self._say(f"nothing to see in {namespace or 'the cluster'}: {error.message}")

    def _gone(self, left: Callable[[], Iterator[Manifest]]) -> None:
        waited = 0.0
        while pods := list(left()):
            if waited >= self._patience_s:
                for pod in pods:
                    self._say(f"ending pod {namespace_of(pod)}/{name_of(pod)}, which did not end in time")
                    self._kube.delete(PODS, namespace_of(pod), name_of(pod), grace_s=0)
                return
            if waited == 0:
                for pod in pods:
                    self._kube.delete(PODS, namespace_of(pod), name_of(pod))
            self._wait(PAUSE_S)
            waited += PAUSE_S


def _installed(body: Manifest) -> bool:
    """Part of the installation itself, whoever wrote into it later: it goes with the rest of it."""
    return PART_OF.items() <= labels_of(body).items()


def main(argv: Sequence[str], kube: Kube | None = None) -> int:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(description="Hooks of Ferry's charts.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("definitions")
    remove = verbs.add_parser("remove")
    remove.add_argument("--system", required=True)
    remove.add_argument("--namespaces", default="")
    remove.add_argument("--purge", action="store_true")
    asked = parser.parse_args(argv)
    kube = kube or HttpKube(find_access())
    try:
        if asked.verb == "definitions":
            define(kube, definitions().values(), _say)
        else:
            Removal(kube, asked.system, [n for n in asked.namespaces.split(",") if n], _say).run(asked.purge)
    except FerryError as error:
        print(f"{error.code}: {error.message}\n{error.hint}", file=sys.stderr)
        return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
