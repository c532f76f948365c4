"""Files inside files."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.spec import CommandJob, Environment
from ferryml.sdk.documents import read_document
from ferryml.sdk.embed import embed

INLINE = {"image": "python"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    return tmp_path


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", "/")).with_suffix(".yml" if "req" not in name else ".txt").write_text(text)


def embedded(folder, kind, text):
    (folder / "main.yml").write_text(text)
    return embed(kind, read_document(folder / "main.yml"), lambda child, file: (child, file))


@pytest.mark.parametrize("name", ["file:./sub/env.yml", "./sub/env.yml", "sub/env.yml", "file:sub/env.yml"])
def test_an_environment_file_in_every_spelling(folder, name):
    write(folder, sub__env="image: python")
    got = embedded(folder, CommandJob, f"command: x\nenvironment: {name}")
    assert got["environment"] == (Environment, folder / "sub" / "env.yml")


def test_references_and_mappings_stay(folder):
    assert embedded(folder, CommandJob, "environment: azureml:e:1") == {"environment": "azureml:e:1"}
    assert embedded(folder, CommandJob, "environment: {image: python}") == {"environment": INLINE}


@pytest.mark.parametrize("name", ["file:./sub/conda.yml", "sub/conda.yml"])
def test_conda_files_with_requirements(folder, name):
    write(folder, sub__conda="dependencies:\n  - python=3.11\n  - pip:\n      - -r req.txt\n      - mlflow\n")
    write(
        folder,
        sub__req="# packages\nnumpy==1.26 # why\n\n-r more_req.txt\n",
        sub__more_req="a \\\n  ; python_version > '3'\n",
    )
    got = embedded(folder, Environment, f"conda_file: {name}")
    pip = ["numpy==1.26", "a    ; python_version > '3'", "mlflow"]
    assert got["conda_file"]["dependencies"] == ["python=3.11", {"pip": pip}]


@pytest.mark.parametrize(
    ("said", "lines"),
    [("./req.txt", ["numpy", "b"]), ("file:req.txt", ["numpy", "b"]), ("[a, b]", ["a", "b"]), ("numpy", "numpy")],
)
def test_pip_requirements(folder, said, lines):
    write(folder, req="numpy\nb\n")
    assert embedded(folder, Environment, f"pip_requirements: {said}")["pip_requirements"] == lines


def test_inline_environments_are_entered(folder):
    write(folder, conda="dependencies: [a]")
    got = embedded(folder, CommandJob, "environment: {conda_file: conda.yml}")
    assert got["environment"]["conda_file"] == {"dependencies": ["a"]}


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (CommandJob, "a: 1\nenvironment: ./nowhere.yml", "main.yml:2: environment names './nowhere.yml'"),
        (Environment, "conda_file: nowhere.yml", "main.yml:1: conda_file names"),
        (CommandJob, "environment:\n  conda_file: nowhere.yml", "main.yml:2: environment.conda_file names"),
        (Environment, "pip_requirements: ./nowhere.txt", "pip_requirements names"),
        (Environment, "conda_file: {dependencies: [pip: [-r nowhere.txt]]}", "-r nowhere.txt: there is no such file"),
    ],
)
def test_missing_files_are_named_with_their_place(folder, kind, text, words):
    with pytest.raises(Refused) as refused:
        embedded(folder, kind, text)
    assert refused.value.code == "FileNotFound"
    assert words in refused.value.message


def test_circles_of_requirements_end(folder):
    write(folder, req="-r req.txt\n")
    with pytest.raises(Refused, match="include each other"):
        embedded(folder, Environment, "pip_requirements: ./req.txt")


def test_requirements_are_utf8(folder):
    (folder / "req.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused) as refused:
        embedded(folder, Environment, "pip_requirements: ./req.txt")
    assert refused.value.code == "BadEncoding"
