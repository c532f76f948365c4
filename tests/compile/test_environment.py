import pytest

from ferryml.compile.environment import (
    build_words,
    environment_order,
    image_order,
    lock_answers,
    lock_python,
    lock_text,
    on_image,
    pypi_requirements,
    with_key,
    with_packages,
)
from ferryml.domain.errors import Refused
from ferryml.domain.orders import BuildOrder, TreeRef

CONDA = {
    "name": "model-env",
    "channels": ["conda-forge"],
    "dependencies": [
        "python=3.8",
        "numpy=1.21.2",
        "pip=21.2.4",
        "scikit-learn=0.24.2",
        "pytorch>=1.10,<2",
        "cudatoolkit=11.3",
        {"pip": ["inference-schema[numpy-support]==1.3.0", "xlrd==2.0.1  # excel", "mlflow== 1.26.1", "pandas"]},
    ],
}


def test_conda_file_is_split_into_python_conda_and_pip():
    order = environment_order(image="mcr/x", conda_file=CONDA)
    assert order.python == "3.8"
    assert order.conda == ("numpy=1.21.2", "scikit-learn=0.24.2", "pytorch>=1.10,<2", "cudatoolkit=11.3")
    assert order.pip == ("inference-schema[numpy-support]==1.3.0", "xlrd==2.0.1", "mlflow== 1.26.1", "pandas")
    assert order.channels == ("conda-forge",)


def test_requirements_are_pypi_names_and_skipped_ones_are_said():
    mapped = pypi_requirements(environment_order(conda_file=CONDA))
    assert mapped.lines[:3] == ("numpy==1.21.2.*", "scikit-learn==0.24.2.*", "torch>=1.10,<2")
    assert mapped.notes == ("conda package cudatoolkit left out: wheels bring their own CUDA libraries",)


def test_pip_wins_over_conda_for_one_package():
    order = environment_order(conda_file={"dependencies": ["numpy=1.21", {"pip": ["NumPy==1.26"]}]})
    assert pypi_requirements(order).lines == ("NumPy==1.26",)


def test_unmappable_packages_are_all_named():
    order = environment_order(conda_file={"dependencies": ["nodejs=16", "numpy", "r-base", "some-unknown-thing"]})
    with pytest.raises(Refused) as caught:
        pypi_requirements(order)
    assert caught.value.code == "EnvironmentFailed"
    for name in ("nodejs (not a Python package)", "r-base", "some-unknown-thing"):
        assert name in caught.value.message
    assert "numpy" not in caught.value.message


def test_key_follows_the_content_and_not_the_name():
    one = environment_order(name="environment:a:1", pip_requirements=["six"])
    two = environment_order(name="environment:b:7", pip_requirements=["six  # why"])
    other = environment_order(pip_requirements=["six==1.16"])
    assert one.key == two.key != other.key
    assert len(one.key) == 64
    assert environment_order(pip_requirements=["six"], image="x").key != one.key


@pytest.mark.parametrize("line", ["-r more.txt", "-e .", "./local", "--target=/", "file:///etc", "-c x.txt"])
def test_lines_that_cannot_travel_are_refused(line):
    with pytest.raises(Refused) as caught:
        environment_order(pip_requirements=[line])
    assert caught.value.code == "BadValue"
    assert line.split()[0] in caught.value.message


@pytest.mark.parametrize("content", [{"dependencies": "numpy"}, {"dependencies": [3]}, {"dependencies": [{"npm": []}]}])
def test_malformed_conda_content_is_refused(content):
    with pytest.raises(Refused):
        environment_order(conda_file=content)


def test_routes_become_port_and_path():
    order = environment_order(
        image="x",
        inference_config={
            "liveness_route": {"port": 8501, "path": "/v1/live"},
            "readiness_route": {"port": 8501, "path": "/v1/ready"},
            "scoring_route": {"port": 8501, "path": "/v1/score"},
        },
    )
    assert (order.liveness, order.scoring, order.port) == ("8501/v1/live", "8501/v1/score", 8501)


def test_with_packages_adds_only_what_is_missing():
    order = environment_order(pip_requirements=["azureml_inference.server-http==1.0"])
    assert with_packages(order, ["azureml-inference-server-http"]) is order
    more = with_packages(order, ["waitress"])
    assert more.pip == ("azureml_inference.server-http==1.0", "waitress")
    assert more.key != order.key


def test_a_lock_knows_what_it_was_made_for():
    order = environment_order(pip_requirements=["six"])
    lock = lock_text(order, "3.11", "six==1.16.0\n")
    assert lock_python(lock) == "3.11"
    assert lock_answers(lock, order)
    assert not lock_answers(lock, with_packages(order, ["waitress"]))
    assert lock_answers("six==1.16.0\n", order)


def test_a_build_is_part_of_the_key_only_where_there_is_one():
    build = BuildOrder(context=TreeRef(digest="sha256:" + "a" * 64))
    plain = environment_order(image="x")
    assert with_key(plain) == plain
    assert environment_order(build=build).key != environment_order().key
    other = build.model_copy(update={"dockerfile": "other"})
    assert environment_order(build=other).key != environment_order(build=build).key
    assert build_words(build).endswith(" Dockerfile")


def test_what_goes_on_top_of_a_built_image_is_made_on_it():
    order = environment_order(build=BuildOrder(context=TreeRef(digest="sha256:" + "a" * 64)), pip_requirements=["six"])
    image = image_order(order)
    assert (image.pip, image.build) == ((), order.build)
    rest = on_image(order, "r/x@sha256:1")
    assert (rest.image, rest.build, rest.pip) == ("r/x@sha256:1", None, ("six",))
    assert rest.inherit
    assert rest.key != environment_order(image="r/x@sha256:1", pip_requirements=["six"]).key
