import pytest

from ferryml.compile.conda import map_lines, parse_spec
from ferryml.domain.errors import Refused


@pytest.mark.parametrize(
    ("line", "name", "version"),
    [
        ("numpy", "numpy", ""),
        ("NumPy", "numpy", ""),
        ("numpy=1.2", "numpy", "==1.2.*"),
        ("numpy =1.2", "numpy", "==1.2.*"),
        ("numpy=1.2.*", "numpy", "==1.2.*"),
        ("numpy==1.2.3", "numpy", "==1.2.3"),
        ("numpy=1.2=py39", "numpy", "==1.2"),
        ("numpy=1.21.2=py38h8b9a1d8_0", "numpy", "==1.21.2"),
        ("numpy>=1.2", "numpy", ">=1.2"),
        ("numpy>=1.2,<2", "numpy", ">=1.2,<2"),
        ("numpy>=1.2, <2.0a0", "numpy", ">=1.2,<2.0a0"),
        ("numpy 1.2.*", "numpy", "==1.2.*"),
        ("numpy 1.2", "numpy", "==1.2"),
        ("numpy!=1.2", "numpy", "!=1.2"),
        ("numpy~=1.2", "numpy", "~=1.2"),
        ("numpy=*", "numpy", ""),
        ("conda-forge::numpy=1.2", "numpy", "==1.2.*"),
        ("numpy[version='>=1.2,<2']", "numpy", ">=1.2,<2"),
        ("python=3.8.5  # why", "python", "==3.8.5.*"),
        ("ca-certificates=2021.10.26", "ca-certificates", "==2021.10.26.*"),
    ],
)
def test_lines_of_conda_files(line, name, version):
    spec = parse_spec(line)
    assert (spec.name, spec.version) == (name, version)


@pytest.mark.parametrize("line", ["", "=1.2", "numpy=1.2|1.4", "numpy>=", "numpy=$(rm -rf)", "numpy; echo"])
def test_what_cannot_be_read_is_refused(line):
    with pytest.raises(Refused) as caught:
        parse_spec(line)
    assert caught.value.code == "BadValue"


def test_names_are_mapped_by_the_table():
    lines = ("py-xgboost=1.7", "opencv", "pillow", "pytables", "pyyaml=6.0", "mkl", "pip")
    mapped = map_lines(lines)
    assert mapped.lines == ("xgboost==1.7.*", "opencv-python-headless", "pillow", "tables", "pyyaml==6.0.*")
    assert len(mapped.notes) == 2
