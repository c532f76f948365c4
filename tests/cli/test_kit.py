"""What all commands share."""

import pytest
import typer

from ferryml.cli import kit
from ferryml.cli.kit import Edits, Shared
from ferryml.domain.errors import Refused


def made(function, **options):
    app = kit.single_app()
    kit.verb(app, "try", **options)(function)
    return typer.main.get_command(app)


def run(function, *args, **options):
    return made(function, **options).main(list(args), prog_name="try", standalone_mode=False)


def test_the_answer_is_printed_as_asked(capsys):
    def answer(shared: Shared, name: kit.Name) -> object:
        """Say it."""
        return {"name": name, "workspace": shared.workspace_name}

    run(answer, "-n", "x", "-w", "team", "--query", "[name, workspace]", "-o", "tsv", "-g", "ignored")
    assert capsys.readouterr().out == "x\nteam\n"


def test_none_prints_nothing_as_az_does(capsys):
    def nothing() -> None:
        """Say nothing."""

    def null() -> object:
        """Say null."""
        return {"a": None}

    run(nothing, "-o", "json")
    assert capsys.readouterr().out == ""
    for form in ("tsv", "json"):
        run(null, "--query", "a", "-o", form)
        assert capsys.readouterr().out == ""


def test_bundles_come_as_one(capsys):
    def edit(edits: Edits) -> object:
        """Show the edits."""
        return [edits.set, edits.add, edits.remove, edits.force_string]

    run(edit, "--set", "a=1", "b=2", "--add", "t", "k=v", "--force", "-o", "tsv")
    assert capsys.readouterr().out == "a=1\tb=2\nt\x1fk=v\nNone\ntrue\n"


def test_ferry_output_is_the_default_and_checked(monkeypatch, capsys):
    def answer() -> object:
        """Say it."""
        return {"a": 1}

    monkeypatch.setenv("FERRY_OUTPUT", "yaml")
    run(answer)
    assert capsys.readouterr().out == "a: 1\n"
    monkeypatch.setenv("FERRY_OUTPUT", "xml")
    with pytest.raises(Refused, match="FERRY_OUTPUT"):
        run(answer)


def test_overrides_leave_out_what_was_not_said():
    assert kit.overrides(["a=1"], name="x", type=None) == ["a=1", {"name": "x"}]
    assert kit.overrides(None, name=None) == []


def test_nobody_is_asked_without_a_terminal():
    kit.confirm(False, "Sure?")
    with pytest.raises(Refused, match="--name"):
        kit.need(None, "--name")
