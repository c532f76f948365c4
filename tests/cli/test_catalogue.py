"""The words after `ferry`."""

import importlib.util
import subprocess
import sys

from ferryml.cli.catalogue import BY_WORD, ENTRIES, help_text


def test_every_word_has_its_module_and_stands_in_the_help():
    text = help_text()
    for entry in ENTRIES:
        assert importlib.util.find_spec(f"ferryml.cli.{entry.module}") is not None, entry
        assert f"  {entry.word} " in text
    assert len(BY_WORD) == len(ENTRIES)


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from ferryml.cli.main import main; main(['--help']);"
        "heavy = {'pydantic', 'typer', 'httpx', 'rich', 'ruamel', 'jmespath'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "online-endpoint" in done.stdout


def test_a_words_help_loads_no_spec():
    program = (
        "import sys; from ferryml.cli.main import main; main(['job', 'create', '--help']);"
        "heavy = {'httpx', 'ruamel', 'jmespath'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
