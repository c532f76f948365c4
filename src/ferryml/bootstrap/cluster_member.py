"""How a cluster becomes a site: its agent's key, the gateway's word, the join token, and what the server answered."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ferryml.agent.keys import Clock, KeySigner, from_pem, new_key, public_text, to_pem
from ferryml.agent.link import enrol
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS, Kind
from ferryml.backends.kubernetes.kube import Kube, Manifest
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.inventory import version
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.link import Enrol, Enrolled
from ferryml.sdk.wire import Route, Wire, open_client
from ferryml.settings import SiteSettings

log = logging.getLogger(__name__)

AGENT_KEY, JOIN = "ferry-agent-key", "ferry-join"
GATEWAY, SITE = "ferry-gateway", "ferry-site"


@dataclass(frozen=True, slots=True)
class GatewayWord:
    """What the gateway publishes of itself."""

    public_key: str
    authority: str
    """PEM of the authority that signed its certificate."""
    url: str


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """A site that the server knows."""

    enrolled: Enrolled
    gateway: GatewayWord
    wire: Wire


def gateway_word(kube: Kube, namespace: str) -> GatewayWord:
    """Raises Unavailable while the gateway has not spoken yet."""
    body = kube.get(CONFIG_MAPS, namespace, GATEWAY) or {}
    data: Mapping[str, str] = body.get("data") or {}
    if not data.get("public_key") or not data.get("ca.pem"):
        raise Unavailable(
            "Unavailable", f"the gateway has not published its key in ConfigMap {namespace}/{GATEWAY} yet"
        )
    return GatewayWord(data["public_key"], data["ca.pem"], data.get("url", ""))


def member(
    kube: Kube, namespace: str, settings: SiteSettings, join_token: str, dice: SystemDice,
    ask: Callable[[Wire, Enrol], Enrolled] = enrol,
) -> ClusterMember:  # fmt: skip
    """The site's membership, made at the first call: `ask` turns the join token into it.

    Raises Unavailable while gateway or server are away, Refused (JoinTokenUsed, MissingField) when people must act.
    """
    word = gateway_word(kube, namespace)
    key = _agent_key(kube, namespace)
    route = Route(
        settings.server_url, settings.proxy, settings.no_proxy, settings.ca_bundle, settings.connect_timeout_s
    )
    enrolled = _kept(kube, namespace)
    if enrolled is None:
        request = Enrol(
            join_token=join_token or _join_token(kube, namespace), agent_key=public_text(key),
            gateway_key=word.public_key, version=version(), backend="kubernetes",
        )  # fmt: skip
        stranger = Wire(open_client(route), route)
        try:
            enrolled = ask(stranger, request)
        finally:
            stranger.close()
        put_data(kube, CONFIG_MAPS, namespace, SITE, {"enrolled.json": enrolled.model_dump_json()})
        put_data(kube, SECRETS, namespace, JOIN, {"token": None})
        log.info("joined %s as site %s", settings.server_url, enrolled.site)
    clock = Clock(dice.now)
    signer = KeySigner(key, f"{enrolled.site}/agent", enrolled.server_id, clock, lambda: dice.id(16))
    return ClusterMember(enrolled, word, Wire(open_client(route), route, signer))


def put_data(kube: Kube, kind: Kind, namespace: str, name: str, data: Mapping[str, str | None]) -> None:
    """Writes some entries of a ConfigMap or Secret (base64 by the caller); None removes one. Makes it when absent."""
    if kube.get(kind, namespace, name) is not None:
        kube.patch(kind, namespace, name, {"data": dict(data)})
        return
    body: Manifest = {
        "apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, "namespace": namespace},
        "data": {key: value for key, value in data.items() if value is not None},
    }  # fmt: skip
    kube.create(kind, body)


def secret_text(body: Manifest | None, entry: str) -> str:
    """One entry of a Secret; empty when there is none."""
    text = ((body or {}).get("data") or {}).get(entry) or ""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused("BadValue", f"entry {entry} of a Secret is not text") from error


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def gateway_token(read: Callable[[], str], request: Callable[[], str]) -> Callable[[], str]:
    """The agent's token for the gateway's admin door: from its projected volume, else asked of the API server."""

    def token() -> str:
        try:
            return read().strip()
        except OSError:
            return request()

    return token


def _agent_key(kube: Kube, namespace: str) -> Ed25519PrivateKey:
    text = secret_text(kube.get(SECRETS, namespace, AGENT_KEY), "key.pem")
    if not text:
        text = to_pem(new_key())
        put_data(kube, SECRETS, namespace, AGENT_KEY, {"key.pem": encoded(text)})
    return from_pem(text, f"Secret {namespace}/{AGENT_KEY}")


def _kept(kube: Kube, namespace: str) -> Enrolled | None:
    body = kube.get(CONFIG_MAPS, namespace, SITE) or {}
    text = (body.get("data") or {}).get("enrolled.json")
    return Enrolled.model_validate_json(text) if text else None


def _join_token(kube: Kube, namespace: str) -> str:
    token = secret_text(kube.get(SECRETS, namespace, JOIN), "token").strip()
    if not token:
        raise Refused(
            "MissingField", f"the cluster belongs to no server yet, and Secret {namespace}/{JOIN} holds no join token",
            "Make one with `ferry site create NAME` and install again with it.",
        )  # fmt: skip
    return token
