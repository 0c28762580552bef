"""The careful reading of a body: years and periods, and every problem at once.

Problems name instance and field and say what is allowed; they never repeat a value. An unknown
field's own name is repeated only when it looks like a column name, since a client may have put a
value where the name belongs.
"""

import difflib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from core.contract.model import Feature, ModelContract
from core.contract.types import LONG_RANGE
from core.messages import N_, _
from serving.errors import InvalidInstances, MalformedBody

Entities = list[str | None]
Periods = list[int | None] | None
MAX_LISTED = 100
"""Most problems listed in one answer; the rest are counted."""

YEAR = re.compile(r"_20\d\d$")
"""A year at the end of a field's name: the row's period, where the contract takes years so."""
YEARS = range(1900, 3000)
"""What a period may be."""
_COLUMN_LIKE = re.compile(r"[a-z][a-z_]{0,39}(_20\d\d)?")


class Validator:
    """Checks bodies against one contract, collecting problems."""

    def __init__(self, contract: ModelContract, max_instances: int) -> None:
        """Prepare the contract's fields by name."""
        self._contract = contract
        self._max_instances = max_instances
        self._features = {feature.name: feature for feature in contract.features}
        self._names = [*self._features, *filter(None, (contract.entity, contract.period_field))]
        self._accepted = _("accepted fields: {names}", names=", ".join(self._names))

    def read(self, body: bytes) -> tuple[list[list[Any]], Entities, bool, Periods]:
        """Return rows, entities, whether to explain, and periods, as `Instances` holds them.

        Raises:
            MalformedBody: it is not JSON.
            InvalidInstances: there are problems.
        """
        problems = Problems()
        document = decode(body)
        rows, entities, periods = self._read(self._instances(document, problems), problems)
        return rows, entities, document.get("explain", False), periods

    def read_instances(
        self, instances: list[Any], period: int | None = None
    ) -> tuple[list[list[Any]], Entities, Periods]:
        """Return rows, entities and periods of instances that came in another envelope.

        Args:
            instances: a mapping each.
            period: what the sender says of all of them; a row that says another is refused.

        Raises:
            InvalidInstances: there are problems.
        """
        problems = Problems()
        return self._read(self._bounded(instances, problems), problems, period)

    def _read(
        self, instances: list[Any], problems: "Problems", period: int | None = None
    ) -> tuple[list[list[Any]], Entities, Periods]:
        rows, entities, periods = [], [], []
        for number, instance in enumerate(instances):
            fields, years = self._fields(number, instance, problems)
            rows.append([self._value(number, f, fields, problems) for f in self._features.values()])
            entities.append(self._entity(number, fields, problems))
            given = years if period is None else years | {period}
            periods.append(self._period(number, fields, given, problems))
        problems.check()
        said = self._contract.period_field is not None or any(p is not None for p in periods)
        return rows, entities, periods if said else None

    def _instances(self, document: Any, problems: "Problems") -> list[Any]:
        shape, most = '{"instances": [{...}]}', self._max_instances
        allowed = _("{shape}, from 1 to {most} instances", shape=shape, most=most)
        if not isinstance(document, dict):
            problems.add(None, None, _("the body is no object"), allowed)
            return []
        for position, name in enumerate(document, start=1):
            if name == "explain":
                self._check_explain(document[name], problems)
            elif name != "instances":
                problems.add(None, _shown(name, position), _("unknown field"), allowed)
        instances = document.get("instances")
        if not isinstance(instances, list):
            problem = _("is no list") if "instances" in document else _("missing")
            problems.add(None, "instances", problem, allowed)
            return []
        return self._bounded(instances, problems)

    def _check_explain(self, value: Any, problems: "Problems") -> None:
        if not isinstance(value, bool):
            problems.add(None, "explain", _("wrong type"), _("true or false"))
        elif value and self._contract.outputs:
            problems.add(None, "explain", _("the model has no score to explain"), "false")

    def _bounded(self, instances: list[Any], problems: "Problems") -> list[Any]:
        allowed = _("from 1 to {most} instances", most=self._max_instances)
        if not instances:
            problems.add(None, "instances", _("empty list"), allowed)
        if len(instances) > self._max_instances:
            problem = _("{count} instances are too many", count=len(instances))
            problems.add(None, "instances", problem, allowed)
            return []
        return instances

    def _fields(
        self, number: int, instance: Any, problems: "Problems"
    ) -> tuple[dict[str, Any], frozenset[int]]:
        """Return the instance's values by contract name, and the years at the end of names."""
        if not isinstance(instance, dict):
            problems.add(number, None, _("the instance is no object"), self._accepted)
            return {}, frozenset()
        fields: dict[str, Any] = {}
        years = set()
        for position, (given, value) in enumerate(instance.items(), start=1):
            known = self.known(given)
            if known is None:
                # Looking for a likeness is slow; a body may hold a hundred thousand such fields.
                hint = "" if problems.full else self._hint(given)
                shown = _shown(given, position)
                problems.add(number, shown, _("unknown field") + hint, self._accepted)
            elif known in fields:
                problems.add(number, known, _("given twice"), _("one name and one year"))
            else:
                fields[known] = value
                if known != given:
                    years.add(int(given[-4:]))
        return fields, frozenset(years)

    def known(self, given: str) -> str | None:
        """Return the contract's name of a field, its year stripped; None if it has none."""
        if given in self._names or not self._contract.year_suffixes:
            return given if given in self._names else None
        bare = YEAR.sub("", given)
        return bare if bare in self._names else None

    def _hint(self, given: str) -> str:
        close = difflib.get_close_matches(
            YEAR.sub("", given[:64].lower()), self._names, n=1, cutoff=0.75
        )
        return _("; perhaps {name}", name=close[0]) if close else ""

    def _value(
        self, number: int, feature: Feature, fields: Mapping[str, Any], problems: "Problems"
    ) -> Any:
        if fields.get(feature.name) is None:
            if not feature.nullable:
                missing = "null" if feature.name in fields else _("missing")
                problems.add(number, feature.name, missing, allowed(feature))
            return None
        value, problem = _checked(feature, fields[feature.name])
        if problem:
            problems.add(number, feature.name, problem, allowed(feature))
        return value

    def _entity(self, number: int, fields: Mapping[str, Any], problems: "Problems") -> str | None:
        name = self._contract.entity
        value = None if name is None else fields.get(name)
        if value is None:
            return None
        text = str(value).strip() if _is_text(value) or _is_integer(value) else ""
        if not text:
            problem = _("empty") if _is_text(value) else _("wrong type")
            problems.add(number, name, problem, _("text that is not empty, or a whole number"))
            return None
        return text

    def _period(
        self,
        number: int,
        fields: Mapping[str, Any],
        years: frozenset[int],
        problems: "Problems",
    ) -> int | None:
        """Return the one year that a row's names, its period field and its sender state."""
        name = self._contract.period_field
        value = None if name is None else fields.get(name)
        if value is not None:
            year = _year(value)
            if year is None:
                problems.add(number, name, _("is no year"), _("a year, for example 2024"))
            else:
                years |= {year}
        if len(years) > 1:
            problems.add(number, name, _("two different periods in one row"), _("one year"))
        return min(years, default=None)


class Problems:
    """Problems found so far: the first ones in full, the rest as a number."""

    def __init__(self) -> None:
        """Start without any."""
        self._listed: list[dict[str, Any]] = []
        self._total = 0

    @property
    def full(self) -> bool:
        """Tell whether further problems are only counted."""
        return len(self._listed) >= MAX_LISTED

    def add(self, instance: int | None, field: str | None, problem: str, allowed: str) -> None:
        """Note one problem."""
        self._total += 1
        if not self.full:
            self._listed.append(
                {"instance": instance, "field": field, "problem": problem, "allowed": allowed}
            )

    def check(self) -> None:
        """Raise InvalidInstances if there is any."""
        if self._total:
            raise InvalidInstances(self._listed, self._total)


def allowed(feature: Feature) -> str:
    """Say in words what a feature accepts."""
    text = _(_KINDS[feature.type])
    if feature.values:
        text = _("one of: {values}", values=", ".join(feature.values))
    low, high = feature.min, feature.max
    if low is not None and high is not None:
        text = _("{kind} between {low} and {high}", kind=text, low=float(low), high=float(high))
    elif low is not None:
        text = _("{kind} from {low} on", kind=text, low=float(low))
    elif high is not None:
        text = _("{kind} up to {high}", kind=text, high=float(high))
    if feature.unit:
        text += f" ({feature.unit})"
    return _("{value}, or null", value=text) if feature.nullable else text


_KINDS = {
    "double": N_("number"),
    "long": N_("whole number"),
    "boolean": N_("true or false"),
    "string": N_("text"),
}


def decode(body: bytes) -> Any:
    """Decode with the standard library, which reads NaN and Infinity so that they can be named.

    Raises:
        MalformedBody: not JSON, not UTF-8, or nested beyond reason.
    """
    try:
        return json.loads(body.decode())
    except json.JSONDecodeError as exc:
        raise MalformedBody(exc.pos) from None
    except UnicodeDecodeError as exc:
        raise MalformedBody(exc.start) from None
    except (ValueError, RecursionError):
        raise MalformedBody from None


def _checked(feature: Feature, value: Any) -> tuple[Any, str | None]:
    """Return the value as the feature's Python type, or None and what is wrong with it."""
    if feature.type == "boolean":
        return (value, None) if isinstance(value, bool) else (None, _("wrong type"))
    if feature.type == "string":
        if not _is_text(value):
            return None, _("wrong type")
        known = not feature.values or value in feature.values
        return (value, None) if known else (None, _("unknown category"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, _("wrong type")
    return _number(feature, value)


def _number(feature: Feature, value: float) -> tuple[float | None, str | None]:
    if isinstance(value, float) and not math.isfinite(value):
        return None, _("is no finite number")
    if feature.type == "long" and value != int(value):
        return None, _("is no whole number")
    try:
        number = int(value) if feature.type == "long" else float(value)
    except OverflowError:
        return None, _("out of range")
    if feature.type == "long" and number not in LONG_RANGE:
        return None, _("out of range")
    low = -math.inf if feature.min is None else feature.min
    high = math.inf if feature.max is None else feature.max
    return (number, None) if low <= number <= high else (None, _("out of range"))


def _year(value: Any) -> int | None:
    """Return a period as a number, also from text; None if it is none."""
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
    year = int(text) if text.isascii() and text.isdigit() and len(text) == 4 else 0
    return year if year in YEARS and not isinstance(value, bool) else None


def _is_text(value: Any) -> bool:
    """Tell whether it is text that UTF-8 can hold (JSON may escape half a surrogate pair)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(name: str, position: int) -> str:
    """Return an unknown field's name if it looks like one, else its position."""
    return name if _COLUMN_LIKE.fullmatch(name) else _("field no. {position}", position=position)
