"""Rejection of repeated keys in JSON objects from outside."""

import json

import pytest

from core.files.json_keys import RepeatedKey, each_once


def test_objects_are_read_as_ever_and_a_second_key_is_named_with_its_place() -> None:
    """A repeated key at any depth is an error without the key in its text: it may be a value."""
    text = '{"a": {"b": [1, {"c": null}]}, "c": 2}'
    assert json.loads(text, object_pairs_hook=each_once) == json.loads(text)
    with pytest.raises(RepeatedKey) as caught:
        json.loads('{"a": [{"b": 1, "c": 2, "b": 1}]}', object_pairs_hook=each_once)
    assert (caught.value.name, caught.value.position) == ("b", 3)
    assert str(caught.value) == "a key is given twice"
