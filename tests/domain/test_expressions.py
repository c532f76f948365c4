"""Expressions found, checked and rendered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.errors import Refused
from ferryml.domain.expressions import bind, check, find, render, substitute
from ferryml.domain.spec import CommandJob, Input


def job(command, **more):
    return CommandJob.model_validate({"command": command, "environment": "azureml:e:1", **more})


def test_finds_names_and_optional_blocks():
    found = find("a ${{inputs.x}} $[[--y ${{ inputs.y.path }}]]")
    assert [(one.name, one.optional) for one in found] == [("inputs.x", False), ("inputs.y.path", True)]


@pytest.mark.parametrize(
    ("command", "rendered"),
    [
        ("t ${{inputs.x}}", "t 1"),
        ("t ${{ inputs.x }}", "t 1"),
        ("t ${{inputs.data.path}}/a", "t /in/a"),
        ("t ${{inputs.data}} ${{outputs.out}}", "t /in /out"),
        ("t ${{outputs.out.path}} ${{name}}", "t /out brave"),
        ("t ${{inputs.flag}} ${{inputs.rate}}", "t True 0.1"),
        ("t $[[--x ${{inputs.x}}]]", "t --x 1"),
        ("t $[[ --x ${{inputs.x}} ]] z", "t  --x 1  z"),
        ("t $[[--no ${{inputs.none}}]]", "t"),
        ("t $[[--no ${{inputs.none}}]] z", "t z"),
        ("t $[[--no ${{inputs.absent}}]]\nz", "t\nz"),
        ("t \\\n  $[[--no ${{inputs.none}}]] \\\n  z", "t \\\n \\\n  z"),
        ("t \\\n  $[[--no ${{inputs.none}}]]", "t \\\n"),
        ("a$[[${{inputs.none}}]]b", "ab"),
        ("t \\ $[[${{inputs.none}}]] b", "t \\  b"),
        ("echo $HOME $(date) ${x} $[1]", "echo $HOME $(date) ${x} $[1]"),
    ],
)
def test_renders(command, rendered):
    inputs = {"x": 1, "data": "/in", "flag": True, "rate": 0.1, "none": None}
    assert render(command, inputs, {"out": "/out"}, "brave") == rendered


@pytest.mark.parametrize(
    "command",
    [
        "${{inputs.y}}",
        "${{nothing}}",
        "${{}}",
        "${{ inputs. }}",
        "${{inputs.x",
        "$[[ --x ${{inputs.x}}",
        "$[[ a $[[ b ]] ]]",
        "${{name}}",
        "${{inputs.x}${{inputs.x}}",
    ],
)
def test_refuses_what_it_cannot_resolve(command):
    with pytest.raises(Refused) as refused:
        render(command, {"x": 1}, {})
    assert refused.value.code == "UnresolvedExpression"


def test_names_the_line():
    with pytest.raises(Refused, match=r"command, line 2: \$\{\{inputs.y\}\} has no value") as refused:
        render("a\n${{inputs.y}}", {}, {})
    assert refused.value.details["line"] == 2


def test_values_are_never_read_again():
    assert render("${{inputs.x}}", {"x": "${{name}} $[[ y ]]"}, {}, "n") == "${{name}} $[[ y ]]"


def test_substitute_takes_any_scope():
    assert substitute("${{trigger.data}}", {"trigger.data": "azureml:d:2"}) == "azureml:d:2"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (job("${{inputs.dta}}", inputs={"data": 1}), "no input 'dta'; the job has: data"),
        (job("${{outputs.x}}"), "no output 'x'; the job has: none"),
        (job("${{inputs.x}}", inputs={"x": {"type": "number", "optional": True}}), "optional and not given"),
        (job("${{search_space.x}}"), "no meaning in a command job"),
        (job("x", environment_variables={"A": "${{inputs.q}}"}), "environment_variables.A"),
        (job("x", outputs={"o": {"path": "azureml://datastores/d/paths/${{nam}}"}}), r"outputs.o.path"),
    ],
)
def test_check_names_what_is_wrong(made, words):
    with pytest.raises(Refused, match=words) as refused:
        check(made)
    assert refused.value.code == "UnresolvedExpression"


def test_check_wants_values_for_inputs():
    made = job("${{inputs.data}}", inputs={"data": {"type": "uri_folder"}})
    with pytest.raises(Refused, match="'data' has no value"):
        check(made)
    check(made, given={"data"})


def test_check_lets_good_jobs_pass():
    check(
        job(
            "${{inputs.a}} ${{inputs.b.path}} $[[${{inputs.c}}]] ${{outputs.o}} ${{name}}",
            inputs={"a": 1, "b": {"path": "azureml:d:1"}, "c": None},
            outputs={"o": {"path": "azureml://datastores/d/paths/${{name}}"}},
        )
    )


def test_bind_gives_inputs_anew():
    made = job("x", inputs={"data": {"type": "uri_folder"}, "rate": {"type": "number", "default": 1}, "n": 2})
    bound = bind(made, {"data": "${{trigger.data}}", "rate": 3, "n": 5}, {"trigger.data": "azureml:d:7"})
    assert bound.inputs["data"] == Input(type="uri_folder", path="azureml:d:7")
    assert bound.inputs["rate"] == Input(type="number", default=3)
    assert bound.inputs["n"] == 5
    again = bind(made, {"data": Input(type="uri_file", path="${{trigger.data}}")}, {"trigger.data": "azureml:d:7"})
    assert again.inputs["data"] == Input(type="uri_file", path="azureml:d:7")


def test_bind_refuses_strangers():
    with pytest.raises(Refused, match="no input 'x'"):
        bind(job("x"), {"x": 1}, {})
    with pytest.raises(Refused, match=r"trigger\.data"):
        bind(job("x", inputs={"d": 1}), {"d": "${{trigger.data}}"}, {})


plain = st.text(st.characters(exclude_characters="${}[]", exclude_categories=["Cs"]), max_size=20)


@given(plain, plain, st.one_of(st.text(max_size=20), st.integers(), st.booleans()))
def test_only_expressions_change(before, after, value):
    shown = value if isinstance(value, str) else str(value)
    assert render(f"{before}${{{{inputs.x}}}}{after}", {"x": value}, {}) == before + shown + after


@given(plain, plain)
def test_a_dropped_block_loses_only_blanks(before, after):
    got = render(f"{before}$[[ ${{{{inputs.no}}}} ]]{after}", {}, {})
    assert "".join(got.split()) == "".join((before + after).split())
    assert got.count("\n") == (before + after).count("\n")


@given(st.text("${}[] inputs.xa\n", max_size=40))
def test_any_text_renders_or_is_refused(text):
    try:
        outcome = render(text, {"x": 1}, {})
    except Refused as refused:
        outcome = refused.code
    assert outcome == "UnresolvedExpression" or "${{" not in outcome
