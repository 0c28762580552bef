"""Requests to the API hold inputs, the year and a pseudonym, and no personal data."""

import json

import pytest

from core.contract.pseudonym import pseudonym
from core.sheets import Sheet
from mlflow_project.lists.scoring import ApiError, ProxyApi, instance, score_sheet
from mlflow_project.pede import EXAMPLE
from tests.live import find_free_port

ROW = {**EXAMPLE, "ra": "RA-4711"}
KNOWN = set(EXAMPLE) - {"ing"}


def test_a_row_says_its_year_and_only_what_the_version_knows() -> None:
    """An instance has the version's inputs alone, named by year, with null for unknown values."""
    sent = instance({**ROW, "ida": None}, 2024, KNOWN, "key")
    assert sent["ieg_2024"] == EXAMPLE["ieg"]
    assert sent["ida_2024"] is None
    assert "ing_2024" not in sent
    assert instance(ROW, None, KNOWN, "")["ieg"] == EXAMPLE["ieg"]


def test_no_registration_number_is_sent() -> None:
    """The RA is sent as a pseudonym with a key, and not at all without one."""
    keyed = instance(ROW, 2024, KNOWN, "key")
    assert keyed["ra"] == pseudonym("RA-4711", "key")
    assert "4711" not in json.dumps(keyed)
    assert "ra" not in instance(ROW, 2024, KNOWN, "")


def test_nobody_at_the_address_is_one_sentence() -> None:
    """An unreachable or malformed address raises ApiError; the message names the former."""
    url = f"http://127.0.0.1:{find_free_port()}"
    with pytest.raises(ApiError, match=url):
        score_sheet(ProxyApi(url), Sheet([ROW], [{"RA": "RA-4711"}], 2024), "")
    with pytest.raises(ApiError):
        ProxyApi("no address at all").call("/metadata")
