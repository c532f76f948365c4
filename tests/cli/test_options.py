"""Options as argparse reads them."""

import pytest

from ferryml.cli.options import expand, whole
from ferryml.domain.errors import Refused

OPTIONS = {
    "--file": True, "-f": True, "--force-string": False, "--endpoint-name": True, "-e": True, "--name": True,
    "-n": True, "--no-wait": False, "--set": True, "--add": True, "--traffic": True, "--yes": False, "-y": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--endpoint", "e"], ["--endpoint-name", "e"]),
        (["--endpoint=e"], ["--endpoint-name=e"]),
        (["--fi", "x", "--no"], ["--file", "x", "--no-wait"]),
        (["--set", "a=1", "b=2", "-y"], ["--set=a=1", "--set=b=2", "-y"]),
        (["--set=a=1", "b.c=x y"], ["--set=a=1", "--set=b.c=x y"]),
        (["--add", "tags", "a=1", "--yes"], ["--add=tags\x1fa=1", "--yes"]),
        (["--traffic", "a=90", "b=10"], ["--traffic=a=90 b=10"]),
        (["--traffic", "a=90 b=10"], ["--traffic=a=90 b=10"]),
        (["-n", "--no-wait"], ["-n", "--no-wait"]),
        (["--name", "--set"], ["--name", "--set"]),
        (["pos", "--", "--endpoint"], ["pos", "--", "--endpoint"]),
        (["--unknown", "x"], ["--unknown", "x"]),
        (["--set"], ["--set"]),
        (["--set", "a=-1", "-nx"], ["--set=a=-1", "-nx"]),
    ],
)
def test_what_is_typed_is_read_as_argparse_would(typed, read):
    assert expand(typed, OPTIONS) == read


def test_a_prefix_of_two_options_names_both():
    with pytest.raises(Refused, match="--file or --force-string") as caught:
        expand(["--f", "x"], OPTIONS)
    assert caught.value.code == "Usage"


def test_a_whole_name_is_never_a_prefix():
    assert whole("--name", {"--name": True, "--name-space": True}) == "--name"
