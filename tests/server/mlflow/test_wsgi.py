"""The bridge from ASGI to Flask."""

import anyio
import pytest

from ferryml.server.mlflow.wsgi import Request, call_whole, environ, respond


def test_names_are_utf8_in_latin1_as_wsgi_wants():
    found = environ(
        Request("GET", "/ä", "q=1", {"x-a-b": "c", "content-type": "t", "content-length": "9"}, b"hey", "/m")
    )
    assert found["PATH_INFO"] == "/Ã¤"
    assert (found["SCRIPT_NAME"], found["QUERY_STRING"], found["HTTP_X_A_B"]) == ("/m", "q=1", "c")
    assert (found["CONTENT_LENGTH"], found["CONTENT_TYPE"]) == ("3", "t")
    assert "HTTP_CONTENT_LENGTH" not in found


class Body:
    """Chunks that know whether they were closed."""

    def __init__(self, fails: bool) -> None:
        self.closed, self.fails = False, fails

    def __iter__(self):
        yield b"a"
        if self.fails:
            raise OSError("gone")
        yield b"b"

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("fails", [False, True])
async def test_answers_are_streamed_and_closed(fails):
    body, sent = Body(fails), []

    def application(environment, start):
        start("201 Created", [("X-A", "b"), ("Connection", "close")])
        return body

    async def send(message):
        sent.append(message)

    async def serve():
        await respond(application, Request("GET", "/"), send, anyio.CapacityLimiter(1))

    if fails:
        with pytest.raises(OSError, match="gone"):
            await serve()
    else:
        await serve()
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert body.closed
    assert sent[0] == {"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"b")]}
    assert sent[1]["body"] == b"a"


def test_a_whole_answer():
    def application(environment, start):
        start("200 OK", [])
        return [b"a", environment["wsgi.input"].read()]

    answer, body = call_whole(application, Request("POST", "/", body=b"b"))
    assert (answer.status, body) == (200, b"ab")
