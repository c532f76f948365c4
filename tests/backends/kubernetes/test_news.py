"""Of which jobs there is news."""

from __future__ import annotations

from ferryml.backends.kubernetes.news import News


def test_the_first_turn_looks_at_everything_and_the_next_at_what_was_told() -> None:
    news = News()
    assert news.take() is None
    assert news.take() == set()
    news.tell("job.w.a")
    news.tell("job.w.a")
    news.tell("job.w.b")
    assert news.take() == {"job.w.a", "job.w.b"}


def test_a_word_without_a_name_is_of_all() -> None:
    news = News()
    news.take()
    news.tell("job.w.a")
    news.tell("")
    assert news.take() is None
    assert news.take() == set()
