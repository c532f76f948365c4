"""Certificates say who may do what, and a kubeconfig needs no other file."""

import base64
import json
import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubebox.pki import Authority


def test_a_certificate_names_user_group_and_addresses(tmp_path):
    authority = Authority.create(tmp_path)
    authority.issue("node", "system:node:a", "system:nodes", ["10.0.0.1", "node-a"])
    certificate = x509.load_pem_x509_certificate((tmp_path / "node.crt").read_bytes())
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    certificate.verify_directly_issued_by(ca)
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:a"
    assert certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    assert names.get_values_for_type(x509.DNSName) == ["node-a"]


def test_keys_are_their_owners_alone(tmp_path):
    Authority.create(tmp_path).issue("admin", "admin", "system:masters")
    assert {(tmp_path / f"{name}.key").stat().st_mode & 0o077 for name in ("ca", "admin")} == {0}


def test_a_kubeconfig_holds_everything(tmp_path):
    authority = Authority.create(tmp_path)
    authority.issue("admin", "admin", "system:masters")
    config = json.loads(authority.kubeconfig("admin", "https://127.0.0.1:1234"))
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1234"
    inside = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    assert ssl.create_default_context(cadata=inside).cert_store_stats()["x509_ca"] >= 1
    key = base64.b64decode(config["users"][0]["user"]["client-key-data"])
    assert key == (tmp_path / "admin.key").read_bytes()
