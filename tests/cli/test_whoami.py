"""`ferry whoami`."""

import json


def test_it_says_who(ferry):
    assert json.loads(ferry("whoami").out)["role"] == "owner"
