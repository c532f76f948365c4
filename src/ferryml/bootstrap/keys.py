"""The server's keys on disk: one file, mode 0600, with what signs grants and what seals secrets."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from ferryml.domain.errors import Forbidden, Refused, Unauthenticated
from ferryml.domain.link import Grant
from ferryml.domain.routes import key_id
from ferryml.domain.sparse import sparse

LEEWAY_S = 30
"""How far the clocks of a site and the server may differ on top of a token's life."""
LONGEST_S = 300
"""No site's token may live longer, whatever it says of itself."""


class FileKeys:
    """`control.ports.Keys` on a key file; made when it is not there, never overwritten."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            _make(path)
        if path.stat().st_uid == os.geteuid():  # a mounted Secret belongs to root, and cannot be changed
            os.chmod(path, 0o600)
        try:
            kept = json.loads(path.read_text())
            self.server_id = str(kept["server_id"])
            self._signing = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept["signing"]))
            self._sealing = Fernet(kept["sealing"])
        except (ValueError, KeyError, TypeError) as error:
            raise Refused("BadValue", f"{path} is not a key file of Ferry", "Restore it from a backup.") from error

    def public_key(self) -> str:
        raw = self._signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign_grant(self, grant: Grant) -> str:
        return jwt.encode(sparse(grant), self._signing, algorithm="EdDSA")

    def verify_grant(self, token: str) -> Grant:
        try:
            claims = jwt.decode(token, self._signing.public_key(), algorithms=["EdDSA"], options={"verify_aud": False})
            return Grant.model_validate(claims)
        except (jwt.InvalidTokenError, ValidationError, ValueError) as error:
            raise Forbidden("BadGrant", "the grant was not made by this server", "Let the server issue it.") from error

    def seal(self, plain: str) -> str:
        return self._sealing.encrypt(plain.encode()).decode()

    def unseal(self, sealed: str) -> str:
        try:
            return self._sealing.decrypt(sealed.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise Refused("BadRequest", "this was not sealed by this server") from error

    def hash_token(self, secret: str) -> str:
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

    def new_token_key(self) -> tuple[str, str]:
        made = ec.generate_private_key(ec.SECP256R1())
        private = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return _public_pem(made), self.seal(private)

    def sign_token(self, sealed: str, claims: Mapping[str, Any]) -> str:
        key = load_pem_private_key(self.unseal(sealed).encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise Refused("BadRequest", "this is no key for tokens of endpoints")
        return jwt.encode(dict(claims), key, algorithm="ES256", headers={"kid": key_id(_public_pem(key))})

    def verify_site_jwt(self, token: str, public_keys: Mapping[str, str], now: datetime) -> str:
        try:
            subject = str(jwt.decode(token, options={"verify_signature": False}).get("sub", ""))
            key = public_keys.get(subject)
            if not key:
                raise _unknown("the site is not known here, or was deleted")
            claims = jwt.decode(
                token, Ed25519PublicKey.from_public_bytes(base64.b64decode(key)), algorithms=["EdDSA"],
                audience=self.server_id, issuer=subject,
                options={"require": ["iss", "sub", "aud", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )  # fmt: skip
        except (jwt.InvalidTokenError, ValueError) as error:
            raise _unknown("the signature does not fit") from error
        _check_times(claims, now.timestamp())
        return subject


def _public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    try:
        issued, ends = float(claims["iat"]), float(claims["exp"])
    except (TypeError, ValueError) as error:
        raise _unknown("the token's times cannot be read") from error
    if not issued - LEEWAY_S <= now < min(ends, issued + LONGEST_S) + LEEWAY_S:
        raise Unauthenticated(
            "TokenExpired", "the site's token is not valid now; its clock differs from the server's",
            "The agent corrects its clock from the Date header and asks again.",
        )  # fmt: skip


def _unknown(why: str) -> Unauthenticated:
    return Unauthenticated("Unauthenticated", f"the site's token was not accepted: {why}", "Check which key it uses.")


def new_key_file() -> str:
    """The text of a new key file, for replicas that are to share one."""
    signing = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    kept = {
        "server_id": f"ferry-{secrets.token_hex(8)}", "signing": base64.b64encode(signing).decode(),
        "sealing": Fernet.generate_key().decode(),
    }  # fmt: skip
    return json.dumps(kept)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_secret(path, new_key_file())


def write_secret(path: Path, text: str) -> None:
    """A file that only its owner reads, there whole or not at all; an existing one is kept when it came first."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
