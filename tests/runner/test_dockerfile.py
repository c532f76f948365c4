import pytest

from ferryml.runner.dockerfile import base_images


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM python:3.11\nRUN x", ["python:3.11"]),
        ("from --platform=linux/amd64 r:5000/a/b@sha256:1 as x\n", ["r:5000/a/b@sha256:1"]),
        ("ARG V=3.11\nARG BASE=python:${V}\nFROM $BASE\nFROM ${NONE:-debian:12}", ["python:3.11", "debian:12"]),
        ("ARG V\nFROM python:${V}\nFROM $LATER", []),
        ("ARG X=1\nFROM a:${X:+yes}\nFROM b:${Y:+no}", ["a:yes", "b:"]),
        ("FROM scratch\nCOPY --from=busybox:1 --chown=1 /bin /bin\nADD x /", ["busybox:1"]),
        ("FROM a AS One\nFROM one\nCOPY --from=ONE /x /\nCOPY --from=0 /y /\nCOPY --from=7 /z /", ["a", "7"]),
        ("FROM a\nRUN --mount=type=bind,from=tools:2,target=/t --mount=type=cache,target=/c make", ["a", "tools:2"]),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\nFROM c", ["a", "c"]),
        ("FROM a\nRUN echo \\\n  # a comment between\n  FROM b\nFROM c", ["a", "c"]),
        ("# escape=`\nFROM a\nRUN x `\n FROM b", ["a"]),
        ("ARG A=x\nFROM a\nARG A=y\nFROM img:$A", ["a", "img:x"]),
        ("FROM a\nFROM a", ["a"]),
        ("FROM", []),
        ("", []),
        ("FROM a\nRUN x \\", ["a"]),
    ],
)
def test_what_it_starts_from(text, images):
    assert base_images(text) == images


def test_a_file_of_nonsense_ends():
    assert base_images("\0\n\xff" * 1000 + "ARG ${\nFROM ${${X}}\n") == []
