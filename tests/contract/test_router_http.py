"""How a router takes HTTP from strangers: framing, limits and malformed bytes never harm it."""

import asyncio
import json

import pytest

from router_play import KEY, read_answer

A = "a" * 10
AUTHORISED = f"POST /api/v1/endpoint/digits/score HTTP/1.1\r\nauthorization: Bearer {KEY}\r\n".encode()


async def test_too_large_a_body_is_413(play):
    model = await play.serve()
    said = await play.raw(AUTHORISED + b"content-length: 100001\r\n\r\n")
    assert (said.status, said.code) == (413, "LimitExceeded")
    chunk = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
    said = await play.raw(AUTHORISED + b"transfer-encoding: chunked\r\n\r\n" + chunk * 2)
    assert said.status in (413, 0)
    assert not model.seen


async def test_chunks_are_put_together(play):
    model = await play.serve()
    said = await play.raw(
        AUTHORISED + b"transfer-encoding: chunked\r\n\r\n" + b"2;ext=1\r\n[1\r\n3\r\n,2]\r\n0\r\ntrailer: x\r\n\r\n"
    )
    assert said.status == 200
    assert model.seen[0][2] == b"[1,2]"


async def test_a_chunked_answer_arrives_whole(play):
    model = await play.serve(says=[1, 2])
    model.manner = "chunked"
    said = await play.ask()
    assert said.json == [1, 2]
    assert said.headers["x-model"] == "yes"


async def test_a_connection_serves_many_requests(play):
    await play.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    one = AUTHORISED + b"content-length: 3\r\n\r\n[1]"
    writer.write(one * 3)
    assert [(await read_answer(reader)).status for _ in range(3)] == [200, 200, 200]
    writer.close()


async def test_expect_continue_is_answered(play):
    await play.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    writer.write(AUTHORISED + b"content-length: 3\r\nexpect: 100-continue\r\n\r\n")
    assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"[1]")
    assert (await read_answer(reader)).status == 200
    writer.close()


MALFORMED = [
    b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"POST /a b HTTP/1.1\r\n\r\n",
    b"POST /api/v1/endpoint/digits/score HTTP/1.1\r\nno colon\r\n\r\n",
    b"POST /api/v1/endpoint/digits/score HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
    b"POST /api/v1/endpoint/digits/score HTTP/1.1\r\nx" + b": y\r\nx" * 200 + b": y\r\n\r\n",
    b"POST /api/v1/endpoint/digits/score HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    b"POST /" + b"y" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
]  # fmt: skip
MALFORMED += [
    AUTHORISED + tail
    for tail in (
        b"content-length: 3\r\ncontent-length: 4\r\n\r\n[1]",
        b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"content-length: -1\r\n\r\n",
        b"content-length: +3\r\n\r\n[1]",
        b"content-length: 0x3\r\n\r\n[1]",
        b"content-length: " + b"9" * 30 + b"\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"transfer-encoding: chunked\r\n\r\n-1\r\n",
        b"transfer-encoding: chunked\r\n\r\n3\r\n[1]XX0\r\n\r\n",
        b"content-length: 30\r\n\r\n[1]",
    )
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
async def test_malformed_http_is_refused_and_the_router_lives(play, data):
    model = await play.serve()
    said = await play.raw(data, end=True)
    assert said.status in (0, 400, 401, 404, 413, 422, 431)
    assert not model.seen
    assert (await play.ask()).status == 200


async def test_two_framings_are_refused_or_read_as_chunks_alone(play):
    model = await play.serve()
    hidden = b"GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    length = b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(hidden))
    said = await play.raw(AUTHORISED + length + hidden)
    assert said.status in (200, 400)
    assert all(body == b"" and "hidden" not in line for line, _, body in model.seen)
    assert all("content-length" not in headers for _, headers, _ in model.seen)


@pytest.mark.parametrize(
    "path", ["/api/v1/endpoint/digits", "/api/v1/endpoint/../score", "/api/v1/endpoint/%64igits/score", "/x"]
)
async def test_other_paths_are_404(play, path):
    await play.serve()
    assert (await play.ask(path=path)).status == 404


SCORE = "/api/v1/endpoint/digits/score"


@pytest.mark.parametrize(("root", "asked"), [("/", "/v2/models/m/infer"), ("/api/", "/api/v2/models/m/infer")])
async def test_what_lies_below_a_scoring_path_that_is_a_folder_is_reached(play, root, asked):
    """Triton servers have a route for each model, and clients that ask whether it is there."""
    model = await play.serve(scoring_path=root)
    assert (await play.ask(path=f"{SCORE}/v2/models/m/infer?x=1")).status == 200
    assert (await play.ask(b"", path=f"{SCORE}/v2/models/m/infer", method="GET")).status == 200
    assert (await play.ask()).status == 200
    lines = [line for line, _, _ in model.seen]
    assert lines == [f"POST {asked}?x=1 HTTP/1.1", f"GET {asked} HTTP/1.1", f"POST {root} HTTP/1.1"]


@pytest.mark.parametrize(
    "tail", ["..", "../x", "x/../../y", "./x", "x/.", "%2e%2e/x", "", "x//y", "x\\y", "a/" * 16 + "b"]
)
async def test_nobody_climbs_out_of_the_folder(play, tail):
    model = await play.serve(scoring_path="/api/")
    assert (await play.ask(path=f"{SCORE}/{tail}")).status == 404
    assert not model.seen


async def test_a_scoring_path_that_is_no_folder_has_nothing_below_it(play):
    model = await play.serve()
    said = await play.ask(path=f"{SCORE}/v2/models/m/infer")
    assert (said.status, said.code) == (404, "NotFound")
    assert "scoring path alone" in said.json["error"]["message"]
    assert not model.seen


async def test_other_methods_are_405(play):
    await play.serve()
    assert (await play.ask(method="DELETE")).status == 405


async def test_swagger_comes_from_the_serving_deployment(play):
    model = await play.serve(says={"swagger": "2.0"})
    said = await play.ask(b"", path="/api/v1/endpoint/digits/swagger.json?version=3", method="GET")
    assert said.json == {"swagger": "2.0"}
    assert model.seen[0][0] == "GET /swagger.json?version=3 HTTP/1.1"
    assert play.router.totals("endpoint.ws.digits")[A].requests == 0


async def test_the_error_shape(play):
    said = await play.ask()
    assert set(json.loads(said.body)["error"]) == {"code", "message", "hint", "details"}
    assert said.headers["content-type"] == "application/json"


async def test_drop_makes_it_unknown(play):
    await play.serve()
    play.router.drop("endpoint.ws.digits")
    assert (await play.ask()).status == 404
