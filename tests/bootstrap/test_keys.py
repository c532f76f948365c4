"""The key file: private, stable, and nothing opens without it."""

import base64
import stat
import threading
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ferryml.bootstrap.keys import LEEWAY_S, LONGEST_S, FileKeys, new_key_file, write_secret
from ferryml.domain.errors import Forbidden, Refused, Unauthenticated
from ferryml.domain.link import Grant
from ferryml.domain.routes import key_id

GRANT = Grant(iss="s", site="edge", uid="job.w.j", generation=1, workspace="w", kind="Job", name="j")


def test_keys_are_made_once_for_their_owner_only(tmp_path):
    file = tmp_path / "keys" / "server.json"
    first, second = FileKeys(file), FileKeys(file)
    assert (first.server_id, first.public_key()) == (second.server_id, second.public_key())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    FileKeys(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_file_may_be_made_beforehand_for_several(tmp_path):
    texts = [new_key_file(), new_key_file()]
    assert texts[0] != texts[1]
    (tmp_path / "k").write_text(texts[0])
    assert FileKeys(tmp_path / "k").server_id in texts[0]


def test_two_that_start_together_agree(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(FileKeys(tmp_path / "k").server_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"server_id": "x", "signing": "?", "sealing": "?"}'])
def test_a_damaged_file_is_said_to_be_one_and_kept(tmp_path, text):
    file = tmp_path / "k"
    file.write_text(text)
    with pytest.raises(Refused):
        FileKeys(file)
    assert file.read_text() == text


def test_grants_of_this_server_only(tmp_path):
    mine, theirs = FileKeys(tmp_path / "a"), FileKeys(tmp_path / "b")
    assert mine.verify_grant(mine.sign_grant(GRANT)) == GRANT
    for token in (theirs.sign_grant(GRANT), "", "a.b.c", mine.sign_grant(GRANT)[:-4]):
        with pytest.raises(Forbidden):
            mine.verify_grant(token)


def test_what_is_sealed_is_not_readable_and_not_forgeable(tmp_path):
    mine, theirs = FileKeys(tmp_path / "a"), FileKeys(tmp_path / "b")
    sealed = mine.seal("secret ü")
    assert "secret" not in sealed
    assert mine.unseal(sealed) == "secret ü"
    for other in (theirs.seal("secret"), sealed[:-2], "", "ü"):
        with pytest.raises(Refused):
            mine.unseal(other)


def test_tokens_are_signed_by_keys_that_only_this_server_can_use(tmp_path):
    mine, theirs = FileKeys(tmp_path / "a"), FileKeys(tmp_path / "b")
    public, sealed = mine.new_token_key()
    token = mine.sign_token(sealed, {"aud": "endpoint.w.e", "exp": 4_000_000_000})
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": key_id(public), "typ": "JWT"}
    assert jwt.decode(token, public, ["ES256"], audience="endpoint.w.e")["exp"] == 4_000_000_000
    assert mine.new_token_key()[0] != public
    for keys, given in ((theirs, sealed), (mine, mine.seal(_ed25519_pem())), (mine, "x")):
        with pytest.raises(Refused):
            keys.sign_token(given, {})


def _ed25519_pem():
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_secret_file_is_never_overwritten(tmp_path):
    file = tmp_path / "s"
    write_secret(file, "first")
    write_secret(file, "second")
    assert file.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


NOW, WHO = datetime(2024, 5, 1, tzinfo=UTC), "edge/agent"
SITE_KEY = Ed25519PrivateKey.generate()
RAW = SITE_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
KNOWN = {WHO: base64.b64encode(RAW).decode()}


def site_token(keys, key=SITE_KEY, algorithm="EdDSA", without="", **changes):
    now = int(NOW.timestamp())
    claims = {"iss": WHO, "sub": WHO, "aud": keys.server_id, "iat": now, "exp": now + 60, **changes}
    return jwt.encode({name: value for name, value in claims.items() if name != without}, key, algorithm=algorithm)


def test_a_site_is_known_by_its_key_alone(tmp_path):
    keys = FileKeys(tmp_path / "k")
    assert keys.verify_site_jwt(site_token(keys), KNOWN, NOW) == WHO
    refused = [
        site_token(keys, key=Ed25519PrivateKey.generate()),
        site_token(keys, key=RAW, algorithm="HS256"),
        site_token(keys, key=None, algorithm="none"),
        site_token(keys, aud="another-server"),
        site_token(keys, iss="cloud/agent"),
        site_token(keys, sub="cloud/agent"),
        site_token(keys, without="exp"),
        "nonsense",
    ]
    for token in refused:
        with pytest.raises(Unauthenticated) as caught:
            keys.verify_site_jwt(token, KNOWN, NOW)
        assert caught.value.code == "Unauthenticated"


@pytest.mark.parametrize(
    ("life_s", "after_s", "good"),
    [
        (60, -LEEWAY_S, True), (60, -LEEWAY_S - 1, False), (60, 59 + LEEWAY_S, True), (60, 60 + LEEWAY_S, False),
        (10**9, LONGEST_S, True), (10**9, LONGEST_S + LEEWAY_S, False),
    ],
)  # fmt: skip
def test_a_sites_token_lives_briefly_whatever_it_says(tmp_path, life_s, after_s, good):
    keys = FileKeys(tmp_path / "k")
    token, now = site_token(keys, exp=int(NOW.timestamp()) + life_s), NOW + timedelta(seconds=after_s)
    if good:
        assert keys.verify_site_jwt(token, KNOWN, now) == WHO
        return
    with pytest.raises(Unauthenticated) as caught:
        keys.verify_site_jwt(token, KNOWN, now)
    assert caught.value.code == "TokenExpired"
