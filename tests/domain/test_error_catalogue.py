"""Every error code says what it means and what mends it."""

from ferryml.domain.error_catalogue import MEANING, codes


def test_every_code_has_a_meaning_and_a_remedy_in_whole_sentences():
    assert set(codes()) == set(MEANING)
    poor = [code for code, texts in MEANING.items() if not all(text.endswith(".") and len(text) > 10 for text in texts)]
    assert not poor


def test_codes_are_names_that_a_heading_can_carry():
    assert all(code.isidentifier() and code[0].isupper() for code in codes())
    assert len(set(codes())) == len(codes())
