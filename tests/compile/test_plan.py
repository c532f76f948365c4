import pytest

from ferryml.compile.environment import environment_order
from ferryml.compile.plan import Bring, bring_code, bring_earlier, bring_input, limits, output_item, rest_item, safe
from ferryml.domain.errors import Refused
from ferryml.domain.orders import InputOrder, JobOrder, OutputOrder, TreeRef

REF = TreeRef(digest="sha256:" + "a" * 64)
FILE = TreeRef(digest="sha256:" + "b" * 64, kind="file", name="x.csv")


def an_order(**fields):
    return JobOrder.model_validate(
        {"workspace": "w", "name": "j", "compute": "c", "command": "true", "environment": environment_order(), **fields}
    )


def test_code_is_a_folder_or_a_file_in_it():
    for ref, to in ((REF, "code"), (FILE, "code/x.csv")):
        bring = Bring()
        bring_code(an_order(code=ref), bring)
        assert [item["to"] for item in bring.fetch] == [to]


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({"type": "uri_folder", "tree": REF}, "/f/inputs/a"),
        ({"type": "uri_file", "tree": FILE}, "/f/inputs/a/x.csv"),
        ({"type": "uri_file", "tree": REF}, "/f/inputs/a/a"),
        ({"type": "uri_file", "uri": "https://h/p/y.csv?sig=1"}, "/f/inputs/a/y.csv"),
        ({"type": "uri_folder", "uri": "s3://b/x", "mode": "direct"}, "s3://b/x"),
    ],
)
def test_inputs_have_a_path_before_they_are_there(order, path):
    assert bring_input("a", InputOrder.model_validate(order), "/f", Bring()) == path


@pytest.mark.parametrize(
    ("order", "code"),
    [({"type": "uri_folder"}, "StagingFailed"), ({"type": "uri_folder", "uri": "https://h/p"}, "NotSupported")],
)
def test_what_cannot_be_brought_is_refused(order, code):
    with pytest.raises(Refused) as caught:
        bring_input("a", InputOrder.model_validate(order), "/f", Bring())
    assert caught.value.code == code


def test_web_addresses_take_the_way_of_the_site():
    bring = Bring(way={"proxy": "p"})
    bring_input("a", InputOrder(type="uri_file", uri="https://h/x"), "/f", bring)
    assert bring.fetch[0]["proxy"] == "p"


def test_an_output_is_uploaded_copied_or_written_in_place():
    kept = [
        output_item("a", OutputOrder(mode=mode), place, Bring())
        for mode, place in (("rw_mount", ""), ("upload", "/p"), ("direct", "/p"))
    ]
    assert [(item["upload"], item["place"], item["path"]) for item in kept] == [
        (True, "", "outputs/a"), (False, "/p", "outputs/a"), (False, "", "/p"),
    ]  # fmt: skip


def test_what_lies_in_outputs_and_logs_is_kept_under_a_free_name():
    assert rest_item(an_order(), Bring())["name"] == "default"
    assert rest_item(an_order(outputs={"default": {}}), Bring())["name"] == "artifacts"


def test_a_retry_puts_an_earlier_file_back_into_its_folder():
    bring, order = Bring(), OutputOrder(type="uri_file")
    bring_earlier({"m": REF, "gone": REF}, [output_item("m", order, "", bring)], bring)
    assert [item["to"] for item in bring.fetch] == ["outputs/m"]


def test_no_upload_grace_means_patience_without_end():
    made = limits(an_order(timeout_s=5), upload_grace_s=0, log_flush_s=1, cancel_grace_s=2, max_log_bytes=3)
    assert made["upload_patience_s"] > 10**8
    assert (made["timeout_s"], made["flush_s"], made["grace_s"], made["max_log_bytes"]) == (5, 1, 2, 3)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_names_that_are_paths_are_refused(name):
    with pytest.raises(Refused, match="cannot name"):
        safe(name)
