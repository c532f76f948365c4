"""One public door: what `ferryml` exports is sorted, whole and importable."""

import ferryml


def test_the_door_is_sorted_and_names_each_thing_once():
    names = list(getattr(ferryml, "__all__", []))
    assert names == sorted(set(names))


def test_everything_behind_the_door_exists_and_explains_itself():
    for name in getattr(ferryml, "__all__", []):
        thing = getattr(ferryml, name)
        assert not (callable(thing) and not thing.__doc__), f"ferryml.{name} has no docstring"
