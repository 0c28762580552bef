"""Pseudonyms of identities: applied once, and equal for every spelling of a number."""

from core.contract.pseudonym import pseudonym, spellings, stored


def test_what_is_stored_is_the_pseudonym_or_nothing() -> None:
    """An identity is stored as its pseudonym, and as None without a key or an identity."""
    assert stored("RA-12", "key", None) == pseudonym("RA-12", "key")
    assert stored("RA-12", "", None) is None
    assert stored(None, "key", None) is stored("", "key", None) is None


def test_a_pseudonym_that_a_client_made_is_kept_as_it_is() -> None:
    """A client's own pseudonym is stored unchanged, so it equals that of a sent identity."""
    made = pseudonym("RA-12", "key")
    assert stored(made, "key", None) == made
    assert stored(made, "", None) == made
    assert stored(made[:-1], "key", None) != made[:-1]


def test_a_number_has_one_spelling_where_the_prefix_is_known() -> None:
    """With a known prefix `RA 12`, `ra-012` and `12` have the same pseudonym."""
    person = pseudonym("RA-12", "key")
    assert {stored(text, "key", "RA") for text in ("RA 12", "ra-012", "12", " RA12 ")} == {person}
    assert stored("RA 12", "key", None) != person
    for typed in ("12", "ra 12", "RA-012"):
        assert person in [pseudonym(text, "key") for text in spellings(typed, "RA")]
    # Rows stored before the contract stated the prefix are found by the typed text.
    assert spellings("ra 12", None) == ("ra 12", "RA-12")
    assert spellings("12", None) == ("12",)
