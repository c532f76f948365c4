"""Tokens of endpoints with `auth_mode: aml_token`: signed by the server, short-lived, verified here without asking it.

ES256 with the server's key, so that nothing on a site can make one. Header `kid`: `domain.routes.key_id` of the public
key. Claims: `aud` is the endpoint's uid, `exp` in seconds since 1970; others are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import jwt
from jwt.types import Options

from ferryml.domain.routes import key_id

ALGORITHM = "ES256"
_OPTIONS: Options = {
    "require": ["exp", "aud"], "verify_iat": False, "verify_nbf": False, "verify_iss": False, "verify_sub": False,
    "verify_jti": False, "strict_aud": True,
}  # fmt: skip


def verifier(audience: str, keys: Iterable[str]) -> Callable[[str], bool]:
    """Whether a token opens the endpoint; `keys` are PEM public keys."""
    known = {key_id(pem): pem for pem in keys}

    def opens(token: str) -> bool:
        try:
            pem = known.get(str(jwt.get_unverified_header(token).get("kid", "")))
            if pem is None:
                return False
            jwt.decode(token, pem, algorithms=[ALGORITHM], audience=audience, options=_OPTIONS)
        except (jwt.PyJWTError, ValueError):
            return False
        return True

    return opens
