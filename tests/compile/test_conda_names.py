import re

from ferryml.compile.conda_names import NOT_PYTHON, RENAMED, SAME, SKIPPED, is_not_python, pypi_name, skip_reason


def test_every_target_is_a_valid_requirement_name():
    for target in (*RENAMED.values(), *SAME):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z]+\])?", target), target


def test_no_name_has_two_fates():
    known = set(RENAMED) | SAME
    assert not known & set(SKIPPED)
    assert not known & NOT_PYTHON
    assert not set(SKIPPED) & NOT_PYTHON


def test_lookups():
    assert pypi_name("PyTorch") == "torch"
    assert pypi_name("typing_extensions") == "typing-extensions"
    assert pypi_name("gcc") is None
    assert is_not_python("r-ggplot2")
    assert skip_reason("cudatoolkit")
    assert skip_reason("gcc") is None
