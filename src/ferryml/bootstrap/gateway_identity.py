"""Who a cluster's gateway is: its key and certificate in a Secret of its own, and its word for the agent."""

from __future__ import annotations

from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ferryml.agent.keys import from_pem, new_key, public_text, to_pem
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS
from ferryml.backends.kubernetes.kube import Kube
from ferryml.bootstrap.certificates import Certified, certified
from ferryml.bootstrap.cluster_member import GATEWAY, encoded, put_data, secret_text
from ferryml.bootstrap.dice import SystemDice
from ferryml.settings import ClusterSettings

GATEWAY_KEY = "ferry-gateway-key"
_PARTS = {"authority": "ca.pem", "authority_key": "ca.key", "certificate": "tls.crt", "key": "tls.key"}


class GatewayIdentity:
    """The gateway's own key and certificate, kept in its Secret, and its word for the agent in a ConfigMap."""

    def __init__(self, kube: Kube, knobs: ClusterSettings, dice: SystemDice) -> None:
        self._kube, self._namespace, self._dice = kube, knobs.system_namespace, dice
        self.url = knobs.gateway_url or f"https://{GATEWAY}.{self._namespace}.svc:{knobs.gateway_port}"
        service = f"{GATEWAY}.{self._namespace}"
        host = urlsplit(self.url).hostname or ""
        own = [GATEWAY, service, f"{service}.svc", f"{service}.svc.cluster.local", "localhost", "127.0.0.1", host]
        self._names = list(dict.fromkeys(filter(None, own)))
        self._read()

    def renewed(self) -> bool:
        """Makes a new certificate when it is time; True when it did. Raises Unavailable."""
        before = self.certified
        self._read()
        return self.certified != before

    def publish(self) -> None:
        """What the agent enrols with."""
        said = {"public_key": public_text(self.key), "ca.pem": self.certified.authority, "url": self.url}
        body = self._kube.get(CONFIG_MAPS, self._namespace, GATEWAY) or {}
        if (body.get("data") or {}) != said:
            put_data(self._kube, CONFIG_MAPS, self._namespace, GATEWAY, said)

    def _read(self) -> None:
        body = self._kube.get(SECRETS, self._namespace, GATEWAY_KEY)
        known = {name: secret_text(body, name) for name in ("key.pem", *_PARTS.values())}
        self.key: Ed25519PrivateKey = (
            from_pem(known["key.pem"], f"Secret {self._namespace}/{GATEWAY_KEY}") if known["key.pem"] else new_key()
        )
        whole = all(known[name] for name in _PARTS.values())
        kept = Certified(**{part: known[name] for part, name in _PARTS.items()}) if whole else None
        self.certified = certified(kept, self._names, self._dice.now())
        wanted = {"key.pem": to_pem(self.key), **{n: getattr(self.certified, part) for part, n in _PARTS.items()}}
        if wanted != known:
            values = {name: encoded(text) for name, text in wanted.items()}
            put_data(self._kube, SECRETS, self._namespace, GATEWAY_KEY, values)
