"""What HAProxy wrote down is read back whole, or not at all."""

import base64

from hypothesis import given
from hypothesis import strategies as some

from ferryml.router.haproxy.copies import Copy, read_copy, request_of

ID = "aaaaaaaaaa-0123456789abcdef"


def line(
    kind: str = "wc-", method: str = "POST", query: bytes = b"", headers: bytes = b"", body: bytes = b"", answer=b"1"
):
    packed = [base64.b64encode(part) or b"-" for part in (query, headers, body, answer)]
    return b" ".join([ID.encode(), b"r.digits.aaaaaaaaaa", kind.encode(), method.encode(), *packed, b"."])


@given(some.binary(), some.binary(min_size=1), some.binary())
def test_bytes_pass(body, answer, query):
    copy = read_copy(line(body=body, answer=answer, query=query))
    assert (copy.body, copy.answer, copy.query.encode("latin-1")) == (body, answer, query)
    assert (copy.request_id, copy.revision, copy.mirrored, copy.recorded) == (ID, "a" * 10, True, False)


def test_kinds():
    assert not read_copy(line("w--")).mirrored
    assert not read_copy(line("d--")).mirrored
    assert read_copy(line("wx-")).body is None
    assert read_copy(line("d-r")).recorded
    assert (read_copy(line("wcr", body=b"1")).recorded, read_copy(line("wcr", body=b"1")).body) == (True, b"1")
    for other in ("s--", "dc-", "---", "w-"):
        assert read_copy(line(other)) is None


@given(some.integers(0, 200))
def test_a_line_that_was_cut_off_has_no_body(length):
    whole = line(body=b"x" * 90, headers=b"a: b\r\n")
    copy = read_copy(whole[:length])
    assert copy is None or (length < len(whole)) == (copy.body is None)


@given(some.binary(max_size=300))
def test_anything_may_come(data):
    read_copy(data)
    read_copy(b"i r.d.a wc- POST " + data)


def test_a_copy_is_the_same_request_for_another():
    headers = b"content-type: application/json\r\nhost: x\r\ncontent-length: 3\r\nx-ferry-route: w|evil\r\nX-A: 1\r\n"
    copy = read_copy(line(headers=headers, query=b"a=1", body=b"[1]"))
    head, _, body = request_of(copy, "r.digits.bbbbbbbbbb").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /?a=1 HTTP/1.1"
    assert [one for one in lines if b"x-ferry-route" in one] == [b"x-ferry-route: m|r.digits.bbbbbbbbbb"]
    assert b"x-a: 1" in lines
    assert body == b"[1]"


def test_headers_cannot_add_requests():
    copy = Copy(ID, "b", True, False, "POST", "", [("x", "1")], b"", b"")
    assert request_of(copy, "r.b").count(b"HTTP/1.1") == 1
