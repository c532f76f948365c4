"""Why an image does not come: what kubelet and containerd say of registries, names, rights and platforms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ferryml.domain.explain.clues import Clue, Kind
from ferryml.domain.explain.facts import Facts
from ferryml.domain.explain.kit import Lead, Look, Rule, lead

_OF: tuple[Kind, ...] = ("waiting", "event")
_PULL = (
    r"(?:ErrImagePull|ImagePullBackOff|RegistryUnavailable|InspectFailed|SignatureValidationFailed|"
    r"Failed(?=: Failed to pull image)): .*"
)
_LONG_S = 60.0


def _pull(text: str) -> str:
    return f"^{_PULL}(?:{text})"


def slow(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The image is on its way, and large or far away."""
    done = {clue.where for clue in said if clue.kind == "event" and clue.reason in ("Pulled", "Failed", "BackOff")}
    for clue in said:
        if clue.kind == "event" and clue.reason == "Pulling" and clue.where not in done and facts.waited_s >= _LONG_S:
            image = (re.search(r'"([^"]+)"', clue.text) or ["", "the image"])[1]
            yield lead(
                "image.slow",
                "ResourceNotReady",
                f"{image} is still being pulled after {facts.waited_s:.0f} s",
                clue.quoted(),
                "Wait; a smaller image or a registry in the site's own network comes faster.",
                60,
                "warning",
            )
            return


RULES: tuple[Look, ...] = (
    Rule(
        "image.rate-limit",
        "ImageRateLimited",
        _OF,
        _pull(r"429 Too Many Requests|toomanyrequests|rate limit"),
        "the registry of {image} answers no more pulls from this address for a while",
        "Give the site a pull secret of an account (image_pull_secrets), or a mirror (image_registry).",
        99,
    ),
    Rule(
        "image.denied",
        "ImageAccessDenied",
        _OF,
        _pull(
            r"401 Unauthorized|403 Forbidden|unauthorized|authorization failed|authentication required|access denied|"
            r"denied: |no basic auth credentials|insufficient_scope"
        ),
        "the registry does not let this site pull {image} (or there is no such image: many registries do not tell)",
        "Check the name; then make a pull secret in the compute's namespace and name it in image_pull_secrets.",
        98,
    ),
    Rule(
        "image.platform",
        "ImageInvalid",
        _OF,
        _pull(
            r"no match for platform|no matching manifest|platform .* not found|does not match the specified platform"
        ),
        "{image} was not built for the architecture of the node",
        "Use a multi-platform image, or an instance type whose nodes have its architecture (kubernetes.io/arch).",
        99,
    ),
    Rule(
        "image.tls",
        "TlsFailed",
        _OF,
        _pull(r"x509: (?P<why>[^\n]*)"),
        "the certificate of the registry of {image} is not trusted by the node: {why}",
        "IT installs the registry's certificate authority on the nodes (containerd certs.d).",
        98,
    ),
    Rule(
        "image.plain-http",
        "TlsFailed",
        _OF,
        _pull(r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake"),
        "the registry of {image} speaks plain HTTP and the node insists on HTTPS",
        "IT gives the registry a certificate, or allows it in the nodes' containerd certs.d.",
        98,
    ),
    Rule(
        "image.proxy",
        "ProxyFailed",
        _OF,
        _pull(r"proxyconnect|407 Proxy Authentication"),
        "the proxy of the node does not pass the pull of {image}",
        "IT corrects HTTPS_PROXY and NO_PROXY of containerd on the nodes.",
        98,
    ),
    Rule(
        "image.dns",
        "DnsFailed",
        _OF,
        _pull(r"lookup (?P<host>\S+?)(?: on \S+)?: [^\n]*?(?:no such host|server misbehaving|i/o timeout)"),
        "the node cannot find the address of the registry {host}",
        "Check the registry's name in the image; IT checks the nodes' DNS, or names a mirror (image_registry).",
        98,
    ),
    Rule(
        "image.disk",
        "DiskFull",
        _OF,
        _pull(r"no space left on device"),
        "the node has no room left for {image}",
        "IT frees image space on the node; a smaller image helps.",
        98,
    ),
    Rule(
        "image.unreachable",
        "RegistryUnreachable",
        _OF,
        _pull(
            r"i/o timeout|connection refused|no route to host|network is unreachable|connection reset|"
            r"context deadline exceeded|TLS handshake timeout|dial tcp[^\n]*|\bEOF\b|50[0234] "
        ),
        "the node cannot get {image} from its registry: the registry does not answer, or fails",
        "IT lets the nodes reach it, or names a mirror within the site (image_registry, image_aliases_json).",
        95,
    ),
    Rule(
        "image.not-found",
        "ImageNotFound",
        _OF,
        _pull(r"not found|manifest unknown|name unknown|repository does not exist|does not exist"),
        "there is no image {image} in its registry",
        "Correct image: of the environment (name and tag).",
        97,
    ),
    Rule(
        "image.name",
        "ImageInvalid",
        _OF,
        r"InvalidImageName|couldn't parse image|invalid reference format",
        "{image} is not a name of an image",
        "Write image: REGISTRY/NAME:TAG, in lower case.",
        99,
    ),
    Rule(
        "image.never",
        "ImageNotFound",
        _OF,
        r"ErrImageNeverPull|is not present with pull policy of Never",
        "{image} is not on the node, and the site never pulls images",
        "IT loads it onto the nodes, or sets image_pull_policy to IfNotPresent.",
        99,
    ),
    Rule(
        "secret.pull",
        "ImageAccessDenied",
        _OF,
        r"FailedToRetrieveImagePullSecret: .*?image pull secrets? \((?P<secret>[^)]*)\)",
        "the pull secret {secret} is not in the compute's namespace",
        "kubectl create secret docker-registry {secret} --docker-server=... -n NAMESPACE",
        85,
        "warning",
    ),
    Rule(
        "image.other",
        "ImagePullLoopBackOff",
        _OF,
        r"^(?:ErrImagePull|ImagePullBackOff|ImageInspectError): (?P<why>.*)",
        "{image} cannot be pulled: {why}",
        "Check the image's name, its registry, and the way there from the nodes.",
        80,
        last="family",
    ),
    slow,
)
