"""Why an image does not come, on what containerd and the kubelet wrote."""

import pytest

from explain_play import an_event, checks, facts_of, first, waiting
from ferryml.domain.explain import Facts, explain


@pytest.mark.parametrize(
    ("state", "check", "code"),
    [
        ("notfound", "image.not-found", "ImageNotFound"),
        ("denied", "image.denied", "ImageAccessDenied"),
        ("forbidden", "image.denied", "ImageAccessDenied"),
        ("limited", "image.rate-limit", "ImageRateLimited"),
        ("badname", "image.name", "ImageInvalid"),
        ("arch", "image.platform", "ImageInvalid"),
        ("nodns", "image.dns", "DnsFailed"),
        ("refused", "image.unreachable", "RegistryUnreachable"),
        ("broken", "image.unreachable", "RegistryUnreachable"),
        ("tls", "image.tls", "TlsFailed"),
        ("http", "image.plain-http", "TlsFailed"),
        ("never", "image.never", "ImageNotFound"),
    ],
)
def test_recorded_states(state, check, code):
    found = first(facts_of(state))
    assert (found.check, found.code) == (check, code)


def test_one_text_has_one_cause():
    assert checks(facts_of("arch")) == ["image.platform"]


def test_a_missing_pull_secret_is_named_beside_the_refusal():
    denied, secret = explain(facts_of("nosecret"))
    assert (denied.check, secret.check) == ("image.denied", "secret.pull")
    assert "regcred" in secret.fix


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("pull access denied, repository does not exist or may require authorization", "image.denied"),
        ("no space left on device", "image.disk"),
        ('proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused', "image.proxy"),
        ("net/http: TLS handshake timeout", "image.unreachable"),
        ("something that nobody foresaw", "image.other"),
    ],
)  # fmt: skip
def test_other_words(text, check):
    assert checks(waiting("ErrImagePull", f'failed to pull and unpack image "reg.example/a:1": {text}')) == [check]


def test_a_slow_pull_is_only_a_warning_and_only_after_a_while():
    pulling = an_event("Pulling", 'Pulling image "reg.example/big:1"')
    assert checks(Facts(events=(pulling,), waited_s=5)) == []
    found = first(Facts(events=(pulling,), waited_s=120))
    assert (found.check, found.level) == ("image.slow", "warning")
    assert "reg.example/big:1" in found.cause
    done = an_event("Pulled", "Successfully pulled image")
    assert checks(Facts(events=(pulling, done), waited_s=120)) == []
