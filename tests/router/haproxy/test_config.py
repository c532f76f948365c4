"""HAProxy itself says whether the files are right."""

import pathlib
import subprocess

import pytest

from ferryml.domain.routes import Peer
from ferryml.router.haproxy.config import config_text, files_of, map_text
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.shape import Shape, shape_of
from https_play import Authority
from router_tables import a_table, an_endpoint
from token_play import Signer


@pytest.fixture
def accepted(component, tmp_path):
    """Whether HAProxy takes the files of a shape without a warning of its own."""
    program = component("haproxy")["program"]

    def look(shape: Shape, **more: object) -> str:
        options = Options(**{"folder": str(tmp_path), "run": "/tmp", "bind": ("127.0.0.1:18080",)} | more)
        for path, text in files_of(shape, options).items():
            file = tmp_path / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        command = [program, "-c", "-f", str(tmp_path / "haproxy.cfg")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr, done.stderr
        return (tmp_path / "haproxy.cfg").read_text()

    return look


def test_an_empty_table(accepted):
    accepted(Shape())


def test_keys_tokens_and_replicas(accepted):
    keys = (Signer().public, Signer().public)
    peers = tuple(Peer(name=f"r-{n}.x", address=f"10.0.0.{n}:8000") for n in range(3))
    table = a_table(
        an_endpoint("one", "abc", instances=3),
        an_endpoint("two", "d", auth_mode="aml_token", token_keys=keys),
        an_endpoint("none", ""),
        peers=peers,
    )
    text = accepted(shape_of(table, "r-0.x"), peer_bind="127.0.0.1:18081", peer_secret="0123456789abcdef")
    assert text.count("jwt_verify") == 2


def test_tls_and_web_origins(accepted, tmp_path):
    chain, key = Authority(tmp_path, "one").server_files()
    (tmp_path / "edge.pem").write_text(chain.read_text() + key.read_text())
    text = accepted(shape_of(a_table()), certificate=True, cors_origins=("https://a.example", "https://b.example"))
    assert "alpn h2,http/1.1" in text
    assert accepted(shape_of(a_table()), cors_origins=("*",))


def test_one_tier_for_measuring(accepted):
    accepted(shape_of(a_table()), tiers=1)


def test_sixty_endpoints_with_a_hundred_deployments(accepted):
    table = a_table(*(an_endpoint(f"e{n}", "abcdefghij") for n in range(60)))
    text = accepted(shape_of(table))
    assert text.count("backend r.e") == 600


def test_no_secret_is_in_the_configuration():
    options = Options(folder="/x", run="/y", bind=("127.0.0.1:18081",))
    table = a_table()
    text = config_text(shape_of(table), options)
    assert table.endpoints[0].key_hashes[0].upper() not in text
    assert "@" not in text.replace("ring@", "").replace("unix@", "")


def test_a_map_is_lines_of_key_and_value():
    assert map_text({"b": "2|x", "a": "1"}) == "a 1\nb 2|x\n"


def test_the_options_are_looked_at():
    with pytest.raises(Exception, match="misread"):
        config_text(Shape(), Options(folder=str(pathlib.Path("/a b")), run="/y", bind=()))
