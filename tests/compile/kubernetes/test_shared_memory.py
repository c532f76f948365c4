import pytest

from ferryml.compile.kubernetes.shared_memory import shared_memory
from ferryml.domain.errors import Refused


@pytest.mark.parametrize(
    ("written", "meant"), [("2g", "2Gi"), ("64M", "64Mi"), ("512", "512"), ("9b", "9"), ("1k", "1Ki")]
)
def test_shared_memory_is_written_as_for_docker(written, meant):
    assert shared_memory(written) == meant


@pytest.mark.parametrize("written", ["2Gi", "", "-1g", "1.5g"])
def test_other_forms_are_refused(written):
    with pytest.raises(Refused) as caught:
        shared_memory(written)
    assert caught.value.code == "BadValue"
