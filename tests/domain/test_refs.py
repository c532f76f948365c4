"""References read and written back."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.errors import Refused
from ferryml.domain.refs import (
    AssetRef,
    ContentRef,
    DatastoreRef,
    JobOutputRef,
    LocalRef,
    RegistryRef,
    RunRef,
    UriRef,
    asset_ref,
    parse_ref,
)

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("azureml:digits:1", AssetRef("digits", "1")),
        ("azureml:digits@latest", AssetRef("digits", label="latest")),
        ("azureml:digits", AssetRef("digits")),
        ("ferry:digits:1", AssetRef("digits", "1")),
        ("azureml:AzureML-sklearn-1.5@latest", AssetRef("AzureML-sklearn-1.5", label="latest")),
        (
            "azureml://registries/azureml/environments/sklearn-1.5/labels/latest",
            RegistryRef("azureml", "environments", "sklearn-1.5", label="latest"),
        ),
        ("azureml://registries/r/models/m/versions/3", RegistryRef("r", "models", "m", "3")),
        ("azureml://datastores/d/paths/a/b.csv", DatastoreRef("d", "a/b.csv")),
        ("azureml://datastores/d/paths/", DatastoreRef("d")),
        ("azureml://jobs/j/outputs/o/paths/model", JobOutputRef("j", "o", "model")),
        ("azureml://jobs/j/outputs/o", JobOutputRef("j", "o")),
        ("ferry://jobs/j/outputs/o", JobOutputRef("j", "o")),
        ("runs:/abc/model", RunRef("abc", "model")),
        ("https://example.org/x.csv", UriRef("https://example.org/x.csv")),
        ("git@example.org:me/code.git", UriRef("git@example.org:me/code.git")),
        ("./src", LocalRef("./src")),
        ("src", LocalRef("src")),
        ("file:./env.yml", LocalRef("./env.yml")),
        ("file:///data/x", LocalRef("/data/x")),
        ("c:/data", LocalRef("c:/data")),
        (f"content:tree:sha256:{HEX}:model", ContentRef("tree", f"sha256:{HEX}", "model")),
        (f"content:file:sha256:{HEX}:", ContentRef("file", f"sha256:{HEX}")),
        (
            "azureml:/subscriptions/s/resourceGroups/g/providers/p/workspaces/w/environments/e/versions/2",
            AssetRef("e", "2"),
        ),
        (
            "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/p/q",
            DatastoreRef("d", "p/q"),
        ),
    ],
)
def test_reads_each_form(text, ref):
    assert parse_ref(text) == ref
    assert parse_ref(str(ref)) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a\nb",
        "azureml:",
        "azureml:a:",
        "azureml:a@",
        "azureml:a b:1",
        "azureml:../x:1",
        "azureml://nonsense/x",
        "azureml://registries/r/models/m",
        "azureml://jobs/j/outputs/o/elsewhere/x",
        "runs:/",
        "content:tree:sha256:abc:x",
        f"content:tree:sha256:{HEX}:../x",
        "file:",
    ],
)
def test_refuses_what_is_no_reference(text):
    with pytest.raises(Refused) as refused:
        parse_ref(text)
    assert refused.value.code == "BadReference"


@pytest.mark.parametrize(
    "text",
    [
        "azureml://datastores/d/paths/../secret",
        "azureml://datastores/d/paths/a/../../secret",
        "azureml://datastores/d/paths/a\\..\\..\\b",
        "azureml://jobs/j/outputs/o/paths/..",
        "runs:/abc/../other",
        "azureml://subscriptions/s/x/datastores/d/paths/../p",
    ],
)
def test_paths_stay_where_they_belong(text):
    with pytest.raises(Refused) as refused:
        parse_ref(text)
    assert refused.value.code == "PathEscapes"


def test_asset_ref_takes_assets_only():
    assert asset_ref("azureml:a:1") == AssetRef("a", "1")
    with pytest.raises(Refused, match="does not name an asset"):
        asset_ref("./a")


def test_scheme_of_a_uri():
    assert UriRef("S3://b/k").scheme == "s3"
    assert UriRef("git@h:p").scheme == "git"


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
stores = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
segments = st.text(string.ascii_letters + string.digits + "-_. ü", min_size=1, max_size=8).filter(
    lambda text: text.strip(" /") and text not in (".", "..")
)
paths = st.lists(segments, max_size=4).map("/".join).map(lambda text: text.strip("/"))


@given(
    st.one_of(
        st.builds(AssetRef, names, names),
        st.builds(lambda name, label: AssetRef(name, label=label), names, names),
        st.builds(AssetRef, names),
        st.builds(
            RegistryRef, names, st.sampled_from(["environments", "models", "data", "components", "codes"]), names, names
        ),
        st.builds(DatastoreRef, stores, paths),
        st.builds(JobOutputRef, names, names, paths),
        st.builds(RunRef, names, paths),
        st.builds(ContentRef, st.sampled_from(["tree", "file"]), st.just(f"sha256:{HEX}"), segments),
        st.builds(LocalRef, st.text(min_size=1).filter(lambda t: t.strip() and not set(t) & {"\n", "\0"})),
    )
)
def test_round_trip(ref):
    if isinstance(ref, LocalRef) and ref.path.startswith("///"):
        return
    assert parse_ref(str(ref)) == ref


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    for prefix in ("", "azureml:", "azureml://", "azureml://datastores/d/paths/", "runs:/", "content:"):
        try:
            ref = parse_ref(prefix + text)
        except Refused as refused:
            ref = refused.code
        assert ref in ("BadReference", "PathEscapes") or isinstance(ref, LocalRef) or ".." not in parts(ref)


def parts(ref):
    return getattr(ref, "path", "").split("/")
