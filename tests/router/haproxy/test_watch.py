"""Who has been at it for too long is found in what HAProxy tells of its streams."""

from ferryml.router.haproxy.shape import shape_of
from ferryml.router.haproxy.watch import limits_of, overdue, read_age, read_streams
from router_tables import a_revision, a_table, an_endpoint

TOLD = """0x5605770b8d00: proto=sockpair src=unix:2 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0x4 age=9m calls=1
0x56057704c750: proto=tcpv4 src=127.0.0.1:38110 fe=edge be=inner srv=inner ts=00 epoch=0 age=1m2s calls=1 rate=0 cpu=0
0x56057704e4c0: proto=unix_stream src=unix:1 fe=inner be=r.digits.aaaaaaaaaa srv=i0_1_x ts=00 epoch=0 age=8s calls=24

"""


def detail(total: int) -> str:
    return f"  txn=0x1\n  req=0x5 (f=0x48c48080 an=0x8000 pipe=0 tofwd=0 total={total})\n  res=0x5 (f=0x8 total=78)\n"


def test_ages():
    assert [read_age(text) for text in ("0s", "59s", "1m2s", "2h", "1d1h", "?")] == [0, 59, 62, 7200, 90_000, 0]


def test_streams_are_read():
    assert [(one.frontend, one.backend, one.age_s) for one in read_streams(TOLD)] == [
        ("GLOBAL", "<NONE>", 540), ("edge", "inner", 62), ("inner", "r.digits.aaaaaaaaaa", 8),
    ]  # fmt: skip


def test_the_limit_is_time_in_line_and_time_at_work():
    revision = a_revision("a", request_timeout_ms=3000, max_queue_wait_ms=500)
    assert limits_of(shape_of(a_table(an_endpoint(letters="a", revisions=(revision,))))) == {"r.digits.aaaaaaaaaa": 3.5}


def ended(limit_s: float, total: int, most: int = 1_000_000) -> list[str]:
    return overdue(read_streams(TOLD), {"r.digits.aaaaaaaaaa": limit_s}, lambda key: detail(total), most)


def test_only_the_late_are_ended():
    assert ended(3.5, 100) == ["0x56057704e4c0"]
    assert ended(7, 100) == []
    assert ended(3.5, 64 * 1024 * 60) == ["0x56057704c750"], "a large body takes its time, but not beyond the limit"
    assert ended(3.5, 900_000) == []


def test_a_body_beyond_the_limit_is_ended():
    assert ended(100, 2_000_000) == ["0x56057704c750"]


def test_the_young_are_not_even_looked_at():
    looks = []
    overdue(read_streams(TOLD), {"r.digits.aaaaaaaaaa": 60.0}, lambda key: looks.append(key) or "", 1)
    assert looks == ["0x56057704c750"]
