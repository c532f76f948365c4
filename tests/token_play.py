"""Stands in for the server that signs tokens of endpoints, well or badly."""

import base64
import json
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ferryml.domain.routes import key_id

UID = "endpoint.ws.digits"


class Signer:
    """Stands in for the server."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, **changes: object) -> str:
        claims = {"aud": UID, "exp": int(time.time()) + 60} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, "ES256", {"kid": key_id(self.public)})


def forced(signer: Signer, changes: dict) -> str:
    """PyJWT checks some claims when it signs, so these are put together by hand."""
    head = part({"alg": "ES256", "kid": key_id(signer.public)})
    claims = {"aud": UID, "exp": int(time.time()) + 60} | changes
    body = part({name: value for name, value in claims.items() if value is not None})
    algorithm = jwt.get_algorithm_by_name("ES256")
    signature = algorithm.sign(f"{head}.{body}".encode(), signer.key)
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
