"""Router tables for tests."""

import hashlib

from ferryml.domain.routes import EndpointRoute, RevisionRoute, RouterTable, Upstream


def an_endpoint(name: str = "digits", letters: str = "ab", instances: int = 1, **more: object) -> EndpointRoute:
    """Revision aaaaaaaaaa has the traffic."""
    return EndpointRoute(
        **{
            "uid": f"endpoint.ws.{name}", "name": name, "key_hashes": (hashlib.sha256(b"k").hexdigest(),),
            "weights": {letters[0] * 10: 100} if letters else {},
            "direct": {f"dep-{letter}": letter * 10 for letter in letters},
            "revisions": tuple(a_revision(letter, instances) for letter in letters),
        } | more
    )  # fmt: skip


def a_revision(letter: str, instances: int = 1, **more: object) -> RevisionRoute:
    upstreams = tuple(Upstream(instance=number, port=9000 + number) for number in range(instances))
    return RevisionRoute(**{"revision": letter * 10, "deployment": f"dep-{letter}", "upstreams": upstreams} | more)


def a_table(*endpoints: EndpointRoute, **more: object) -> RouterTable:
    return RouterTable(endpoints=endpoints or (an_endpoint(),), **more)
