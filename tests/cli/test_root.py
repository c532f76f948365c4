"""Words, their commands, and completion."""

import subprocess
import sys

from ferryml.cli.catalogue import ENTRIES
from ferryml.cli.root import command


def test_every_word_has_a_command_whose_verbs_explain_themselves():
    for entry in ENTRIES:
        made = command(entry.word)
        assert made.name == entry.word
        for verb in getattr(made, "commands", {"": made}).values():
            assert (verb.help or "").strip(), (entry.word, verb.name)
            assert not [p.name for p in verb.params if p.param_type_name == "option" and not p.help], verb.name


def test_the_verbs_of_az_are_there():
    verbs = {word: set(command(word).commands) for word in ("job", "model", "online-endpoint", "online-deployment")}
    assert {"create", "show", "list", "stream", "cancel", "download", "validate", "update", "archive", "restore"} <= (
        verbs["job"]
    )
    assert {"create", "show", "list", "update", "archive", "restore", "download"} <= verbs["model"]
    assert {"create", "update", "show", "list", "delete", "invoke", "get-credentials", "regenerate-keys"} <= (
        verbs["online-endpoint"]
    )
    assert {"create", "update", "show", "list", "delete", "get-logs"} <= verbs["online-deployment"]


def test_the_shell_completes_words_and_options():
    program = "from ferryml.cli.main import main; import sys; sys.exit(main())"

    def complete(line, at):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False,
            env={"_FERRY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(at), "PATH": "/bin"},
        )  # fmt: skip
        return done.stdout.split()

    assert complete("ferry onl", 1) == ["online-endpoint", "online-deployment"]
    assert complete("ferry job create --st", 3) == ["--stream"]
