"""What a post must do: over the network, and in memory, where other tests use it."""

import pytest

from ferryml.control.ports import Answered
from ferryml.domain.addresses import networks
from ferryml.domain.errors import Unavailable
from ferryml.server.outbound import Outbound
from ferryml.testing.posts import MemoryPosts
from receiver_play import Receiver

HEADERS = {"Webhook-Id": "evt_1", "content-type": "application/json"}


class Real:
    """The network, and a receiver on this machine."""

    def __init__(self):
        self.receiver = Receiver()
        self.url = self.receiver.url
        self.post = Outbound(networks("127.0.0.0/8"), timeout_s=2).post

    def answers(self, status):
        self.receiver.answer = status

    def goes(self):
        self.receiver.close()

    @property
    def arrived(self):
        return self.receiver.posts


class Memory:
    def __init__(self):
        self._posts = MemoryPosts()
        self.url = "https://hooks.example/hook"
        self.post = self._posts.post

    def answers(self, status):
        self._posts.answer = lambda post: status

    def goes(self):
        self.answers(0)

    @property
    def arrived(self):
        return self._posts.arrived


@pytest.fixture(params=[Real, Memory])
def posts(request, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = request.param()
    yield made
    made.goes()


def test_what_is_posted_arrives_whole(posts):
    assert posts.post(posts.url, b'{"a": "\xc3\xa9"}', HEADERS) == Answered(status=204)
    [one] = posts.arrived
    assert one.body == b'{"a": "\xc3\xa9"}'
    assert (one.headers["webhook-id"], one.headers["content-type"]) == ("evt_1", "application/json")


@pytest.mark.parametrize("status", [200, 302, 400, 410, 429, 500, 503])
def test_every_answer_is_an_answer(posts, status):
    posts.answers(status)
    assert posts.post(posts.url, b"{}", HEADERS).status == status


def test_nobody_there_is_unavailable(posts):
    posts.goes()
    with pytest.raises(Unavailable):
        posts.post(posts.url, b"{}", HEADERS)
    posts.goes = lambda: None
