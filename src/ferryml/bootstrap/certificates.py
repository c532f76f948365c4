"""Certificates of gateway and routers, and the authority that signs each: made by themselves, for their own names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ferryml.domain.errors import Refused

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=90)
"""Remaining life below which a new certificate is made."""
DATED_BACK = timedelta(hours=1)
"""Clocks of nodes differ."""


@dataclass(frozen=True, slots=True)
class Certified:
    """PEM texts: of the authority (certificate, key) and of the server (certificate, key)."""

    authority: str
    authority_key: str
    certificate: str
    key: str


def certified(known: Certified | None, names: Sequence[str], now: datetime, whose: str = "gateway") -> Certified:
    """`known` while it is good for all `names` (hosts or addresses) and for a while yet, else a new certificate.

    The authority stays the same for as long as it lives: pods carry it. Raises Refused(BadValue) for damaged PEM.
    """
    try:
        if known is None or _ends(known.authority) < now + LIFE:
            authority, authority_key = _authority(now, whose)
            return Certified(authority, authority_key, *_leaf(authority, authority_key, names, now, whose))
        if _ends(known.certificate) < now + RENEW_BEFORE or _names(known.certificate) != set(names):
            leaf = _leaf(known.authority, known.authority_key, names, now, whose)
            return Certified(known.authority, known.authority_key, *leaf)
    except (ValueError, TypeError) as error:
        raise Refused("BadValue", f"the {whose}'s certificate cannot be read", "Empty the Secret it is in.") from error
    return known


def _authority(now: datetime, whose: str) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ferry {whose} authority")])
    usage = _usage(signs_certificates=True)
    made = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _text(made), _key_text(key)


def _leaf(
    authority: str, authority_key: str, names: Sequence[str], now: datetime, whose: str
) -> tuple[str, str]:  # fmt: skip
    signer = load_pem_private_key(authority_key.encode(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("not our kind of key")
    issuer = x509.load_pem_x509_certificate(authority.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ferry-{whose}")])
    made = (
        _builder(subject, issuer.subject, key.public_key(), now, LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _text(made), _key_text(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DATED_BACK)
        .not_valid_after(now + life)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: str) -> set[str]:
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def _ends(certificate: str) -> datetime:
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
