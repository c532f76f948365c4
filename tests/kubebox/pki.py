"""Keys and certificates of one cluster, and the kubeconfigs that hold them."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
BOTH_ENDS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Authority:
    """A folder with `ca.crt` and `ca.key`, and whatever they signed."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        """A new authority, with the key that signs tokens of service accounts beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("kubebox-ca", "")
        builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        _write(folder / "ca", key, builder.sign(key, hashes.SHA256()))
        tokens = ec.generate_private_key(ec.SECP256R1())
        (folder / "sa.key").write_bytes(_private(tokens))
        (folder / "sa.pub").write_bytes(
            tokens.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return cls(folder)

    def issue(self, label: str, user: str, group: str = "", names: Sequence[str] = ()) -> None:
        """Writes LABEL.crt and LABEL.key for a user of a group; `names` are what it may answer at."""
        ca = x509.load_pem_x509_certificate((self.folder / "ca.crt").read_bytes())
        signer = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(user, group), ca.subject, key)
        builder = builder.add_extension(x509.ExtendedKeyUsage(BOTH_ENDS), False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
        _write(self.folder / label, key, builder.sign(signer, hashes.SHA256()))

    def kubeconfig(self, label: str, server: str, name: str = "kubebox") -> str:
        """A kubeconfig (JSON, which is YAML) for what `issue(label)` made, with everything inside."""
        inside = {part: _base64(self.folder / part) for part in ("ca.crt", f"{label}.crt", f"{label}.key")}
        user = {
            "client-certificate-data": inside[f"{label}.crt"],
            "client-key-data": inside[f"{label}.key"],
        }
        cluster = {"server": server, "certificate-authority-data": inside["ca.crt"]}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": cluster}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "current-context": name,
            },
            indent=1,
        )


def _name(user: str, group: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 365 * DAY)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(stem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    stem.with_suffix(".key").write_bytes(_private(key))
    stem.with_suffix(".key").chmod(0o600)
    stem.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    encryption = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
