"""Looks at a certificate before callers do: a wrong one is refused with the reason instead of breaking connections."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ferryml.domain.errors import Refused
from ferryml.settings import RouterSettings

SOON = timedelta(days=21)


def check_certificate(chain: bytes, key: bytes, name: str, now: datetime) -> tuple[str, ...]:
    """Warnings; raises Refused (`TlsFailed`) for a pair that cannot serve. `name` is the CNAME; empty: any will do."""
    certificates = _certificates(chain)
    leaf = certificates[0]
    if _public(leaf.public_key()) != _public(_private(key)):
        raise _refused("the private key does not belong to the certificate", "Give the key that it was made with.")
    for lower, upper in pairwise(certificates):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise _refused("the certificates do not form a chain", "Put each one's issuer after it.") from error
    if name and not _covers(leaf, name):
        raise _refused(f"the certificate is not for {name}", f"Its names must include {name}.")
    for certificate in certificates:
        if certificate.not_valid_after_utc <= now:
            raise _refused(f"the certificate expired on {_day(certificate)}", "Renew it.")
        if certificate.not_valid_before_utc > now:
            raise _refused(f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    soon = min(certificates, key=lambda one: one.not_valid_after_utc)
    return (f"the certificate expires on {_day(soon)}",) if soon.not_valid_after_utc - now < SOON else ()


def bundle(settings: RouterSettings) -> str:
    """Certificate chain and key as HAProxy reads them: one text. Empty without TLS."""
    if settings.tls_cert is None:
        return ""
    parts = [settings.tls_cert] + ([settings.tls_key] if settings.tls_key else [])
    return "\n".join(path.read_text().strip() for path in parts) + "\n"


def demand_tls(settings: RouterSettings, host: str) -> None:
    """Raises Refused when keys would travel in the clear, or anybody on the network could ask without one."""
    if settings.keyless and not _is_loopback(host):
        raise Refused(
            "BadArgument", f"the router will not answer on {host} without keys",
            "Set FERRY_ROUTER_KEYLESS=false; --local alone answers without keys, on this machine.",
        )  # fmt: skip
    if not (settings.tls_cert or settings.tls_secret) and not settings.allow_insecure and not _is_loopback(host):
        raise Refused(
            "BadArgument", f"the router will not listen on {host} without TLS: keys would travel in the clear",
            "Set FERRY_ROUTER_TLS_CERT and FERRY_ROUTER_TLS_KEY, or FERRY_ROUTER_ALLOW_INSECURE=true.",
        )  # fmt: skip


def _certificates(chain: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise _refused("the certificate is not PEM", "It must begin with BEGIN CERTIFICATE.") from error


def _private(key: bytes) -> CertificatePublicKeyTypes:
    try:
        public = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError) as error:
        raise _refused("the private key is not PEM without a password", "Decrypt it first.") from error
    return public  # type: ignore[return-value]  # kinds that no certificate holds are unequal to every one


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _covers(leaf: x509.Certificate, name: str) -> bool:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(name) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    wanted = name.lower()
    above = wanted.partition(".")[2]
    known = {one.lower() for one in names.get_values_for_type(x509.DNSName)}
    return wanted in known or (bool(above) and f"*.{above}" in known)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"


def _refused(message: str, hint: str = "") -> Refused:
    return Refused("TlsFailed", message, hint)
