"""Full validation of a body: year suffixes and periods, and every problem reported at once.

Problems name instance, field and allowed values; they never repeat a value. An unknown field's own
name is repeated only when it looks like a column name, since a client may have sent a value as a
name.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.contract.model import Feature, ModelContract
from core.files.json_keys import RepeatedKey, each_once
from core.messages import _
from serving.errors import DuplicateKey, MalformedBody
from serving.protocol.instances import Instances
from serving.protocol.problems import Problems, shown_name
from serving.protocol.values import allowed, checked, is_integer, is_text, year_of

YEAR = re.compile(r"_20\d\d$")
"""Year suffix of a field's name: the row's period, where the contract has year suffixes."""


class Validator:
    """Validator of bodies against one contract, which collects problems."""

    def __init__(self, contract: ModelContract, max_instances: int) -> None:
        """Index the contract's fields by name."""
        self._contract = contract
        self._max_instances = max_instances
        self._features = {feature.name: feature for feature in contract.features}
        self._names = [*self._features, *filter(None, (contract.entity, contract.period_field))]
        self._accepted = _("accepted fields: {names}", names=", ".join(self._names))

    def read(self, body: bytes) -> Instances:
        """Return the instances in a body of `/predict`.

        Raises:
            MalformedBody: it is not JSON.
            DuplicateKey: an object of it has a key twice.
            InvalidInstances: there are problems.
        """
        problems = Problems()
        document = decode(body)
        found = self._read(self._instances(document, problems), problems)
        return replace(found, explain=document.get("explain", False))

    def read_instances(
        self, instances: list[Any], period: int | None = None, most: int | None = None
    ) -> Instances:
        """Validate instances parsed from another format.

        `period` is the year of all rows; a row that states another one is refused. There may be
        `most` instances, by default as many as at `/predict`.

        Raises:
            InvalidInstances: there are problems.
        """
        problems = Problems()
        most = self._max_instances if most is None else most
        return self._read(self._bounded(instances, most, problems), problems, period)

    def _read(
        self, instances: list[Any], problems: Problems, period: int | None = None
    ) -> Instances:
        rows, entities, periods = [], [], []
        for number, instance in enumerate(instances):
            problems.instance = number
            fields, years = self._fields(instance, problems)
            rows.append([self._value(f, fields, problems) for f in self._features.values()])
            entities.append(self._entity(fields, problems))
            given = years if period is None else years | {period}
            periods.append(self._period(fields, given, problems))
        problems.check()
        said = self._contract.period_field is not None or any(p is not None for p in periods)
        return Instances(rows, entities, periods=periods if said else None)

    def _instances(self, document: Any, problems: Problems) -> list[Any]:
        shape, most = '{"instances": [{...}]}', self._max_instances
        allowed = _("{shape}, from 1 to {most} instances", shape=shape, most=most)
        if not isinstance(document, dict):
            problems.add(None, _("the body is not an object"), allowed)
            return []
        for position, name in enumerate(document, start=1):
            if name == "explain":
                self._check_explain(document[name], problems)
            elif name != "instances":
                problems.add(shown_name(name, position), _("unknown field"), allowed)
        instances = document.get("instances")
        if not isinstance(instances, list):
            problem = _("is not a list") if "instances" in document else _("missing")
            problems.add("instances", problem, allowed)
            return []
        return self._bounded(instances, most, problems)

    def _check_explain(self, value: Any, problems: Problems) -> None:
        if not isinstance(value, bool):
            problems.add("explain", _("wrong type"), _("true or false"))
        elif value and self._contract.outputs:
            problems.add("explain", _("the model has no score to explain"), "false")

    def _bounded(self, instances: list[Any], most: int, problems: Problems) -> list[Any]:
        allowed = _("from 1 to {most} instances", most=most)
        if not instances:
            problems.add("instances", _("empty list"), allowed)
        if len(instances) > most:
            problem = _("{count} instances are too many", count=len(instances))
            problems.add("instances", problem, allowed)
            return []
        return instances

    def _fields(self, instance: Any, problems: Problems) -> tuple[dict[str, Any], frozenset[int]]:
        """Return the instance's values by contract name, and the years of name suffixes."""
        if not isinstance(instance, dict):
            problems.add(None, _("the instance is not an object"), self._accepted)
            return {}, frozenset()
        fields: dict[str, Any] = {}
        years = set()
        for position, (given, value) in enumerate(instance.items(), start=1):
            known = self.known(given)
            if known is None:
                # The search for a similar name is slow; a body may hold 100,000 such fields.
                hint = "" if problems.full else self._hint(given)
                shown = shown_name(given, position)
                problems.add(shown, _("unknown field") + hint, self._accepted)
            elif known in fields:
                problems.add(known, _("given twice"), _("one name and one year"))
            else:
                fields[known] = value
                if known != given:
                    years.add(int(given[-4:]))
        return fields, frozenset(years)

    def known(self, given: str) -> str | None:
        """Return the contract's name of a field, without its year suffix; None if unknown."""
        if given in self._names or not self._contract.year_suffixes:
            return given if given in self._names else None
        bare = YEAR.sub("", given)
        return bare if bare in self._names else None

    def known_fields(self, instances: Sequence[Any]) -> tuple[list[Any], int]:
        """Return the instances with known fields only, and the number of fields dropped."""
        left_out, kept = 0, []
        for instance in instances:
            if isinstance(instance, dict):
                known = {name: v for name, v in instance.items() if self.known(name) is not None}
                left_out += len(instance) - len(known)
                instance = known
            kept.append(instance)
        return kept, left_out

    def _hint(self, given: str) -> str:
        close = difflib.get_close_matches(
            YEAR.sub("", given[:64].lower()), self._names, n=1, cutoff=0.75
        )
        return _("; perhaps {name}", name=close[0]) if close else ""

    def _value(self, feature: Feature, fields: Mapping[str, Any], problems: Problems) -> Any:
        if fields.get(feature.name) is None:
            if not feature.nullable or (feature.required and feature.name not in fields):
                missing = "null" if feature.name in fields else _("missing")
                problems.add(feature.name, missing, allowed(feature))
            return None
        value, problem = checked(feature, fields[feature.name])
        if problem:
            problems.add(feature.name, problem, allowed(feature))
        return value

    def _entity(self, fields: Mapping[str, Any], problems: Problems) -> str | None:
        name = self._contract.entity
        value = None if name is None else fields.get(name)
        if value is None:
            return None
        text = str(value).strip() if is_text(value) or is_integer(value) else ""
        if not text:
            problem = _("empty") if is_text(value) else _("wrong type")
            problems.add(name, problem, _("text that is not empty, or a whole number"))
            return None
        return text

    def _period(
        self, fields: Mapping[str, Any], years: frozenset[int], problems: Problems
    ) -> int | None:
        """Return the one year that a row's name suffixes, period field and sender state."""
        name = self._contract.period_field
        value = None if name is None else fields.get(name)
        if value is not None:
            year = year_of(value)
            if year is None:
                problems.add(name, _("is not a year"), _("a year, for example 2024"))
            else:
                years |= {year}
        if len(years) > 1:
            problems.add(name, _("two different periods in one row"), _("one year"))
        return min(years, default=None)


def decode(body: bytes) -> Any:
    """Decode with the standard library, which accepts NaN and Infinity, to be reported by field.

    Raises:
        MalformedBody: not JSON, not UTF-8, or nested too deeply.
        DuplicateKey: an object has a key twice.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=each_once)
    except RepeatedKey as exc:
        raise DuplicateKey(shown_name(exc.name, exc.position)) from None
    except json.JSONDecodeError as exc:
        raise MalformedBody(exc.pos) from None
    except UnicodeDecodeError as exc:
        raise MalformedBody(exc.start) from None
    except (ValueError, RecursionError):
        raise MalformedBody from None
