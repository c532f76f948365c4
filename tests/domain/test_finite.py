"""A bare NaN would become 0 in MLflow, and a candidate without a number could pass a gate."""

from __future__ import annotations

import json

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.finite import refuse_constant


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_bare_constants_are_refused_and_quoted_ones_are_text(token: str):
    with pytest.raises(Refused, match="not JSON"):
        json.loads(f'{{"value": {token}}}', parse_constant=refuse_constant)
    assert json.loads(f'{{"value": "{token}"}}', parse_constant=refuse_constant) == {"value": token}
