"""Who may have what: the server's signature over an order, checked again on the site."""

from __future__ import annotations

import base64

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from ferryml.domain.errors import Forbidden
from ferryml.domain.link import Grant
from ferryml.domain.orders import Residency
from ferryml.domain.residency import may_leave

REMEMBERED = 1000


class Grants:
    """Verifies grants for one site of one server."""

    def __init__(self, server_key: str, server_id: str, site: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(server_key))
        self._server_id, self._site = server_id, site
        self._known: dict[str, Grant] = {}

    def verify(self, text: str, uid: str | None = None) -> Grant:
        """Raises Forbidden(BadGrant) when it is missing, forged, or for something else."""
        if not text:
            raise Forbidden("BadGrant", "no grant came with the order", "Create the work through the server.")
        grant = self._known.get(text) or self._verified(text)
        if uid is not None and grant.uid != uid:
            raise Forbidden("BadGrant", f"the grant is for {grant.uid}, not for {uid}")
        return grant

    def _verified(self, text: str) -> Grant:
        """Signatures are checked once for each text: a job shows its grant with every line that it logs."""
        try:
            claims = jwt.decode(text, self._key, algorithms=["EdDSA"], options={"verify_aud": False})
            known = {name: value for name, value in claims.items() if name in Grant.model_fields}
            grant = Grant.model_validate(known)
        except (jwt.InvalidTokenError, ValidationError) as error:
            raise Forbidden("BadGrant", "the grant is not signed by this site's server") from error
        if (grant.iss, grant.site) != (self._server_id, self._site):
            raise Forbidden("BadGrant", f"the grant is for site {grant.site} of {grant.iss}")
        while len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)), None)
        self._known[text] = grant
        return grant


def stays(grant: Grant, matter: str) -> bool:
    """Whether things of this kind must not leave the site."""
    return not may_leave(Residency(zones=grant.zones, release=grant.release), matter)
