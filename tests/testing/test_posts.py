"""Receivers in memory: what arrived, and what they answer; the rest is in tests/contract/test_posts.py."""

from ferryml.control.ports import Answered
from ferryml.testing.posts import MemoryPosts


def test_they_answer_as_told_and_remember():
    posts = MemoryPosts()
    posts.answer = lambda post: Answered(status=429, retry_after_s=3)
    body = b'{"type": "dev.ferryml.automation.gated"}'
    assert posts.post("https://a.example/", body, {"A-B": "c"}).retry_after_s == 3
    assert posts.events() == ["gated"]
    assert posts.arrived[0].headers == {"a-b": "c"}
