"""An identity becomes a pseudonym once, wherever that is done."""

from core.contract.pseudonym import pseudonym, stored


def test_what_is_stored_is_the_pseudonym_or_nothing() -> None:
    """Without a key no identity is kept; without an identity there is nothing to keep."""
    assert stored("RA-12", "key") == pseudonym("RA-12", "key")
    assert stored("RA-12", "") is None
    assert stored(None, "key") is stored("", "key") is None


def test_a_pseudonym_that_a_client_made_is_kept_as_it_is() -> None:
    """So its rows are the same person's as those of a client that sends identities."""
    made = pseudonym("RA-12", "key")
    assert stored(made, "key") == made
    assert stored(made, "") == made
    assert stored(made[:-1], "key") != made[:-1]
