"""Parameters of a call that a signature declares: MLflow's `params` beside the rows.

MLflow's server drops a parameter that the signature does not have, and only logs it; here it is
refused, since the client expects it to change the response.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.messages import _
from core.registry.parameters import Parameters
from serving.protocol.problems import Problems, shown_name

Params = Mapping[str, Any]


class ParamsReader:
    """Validator of parameters against a signature's, given in `ParamSchema.to_dict` form."""

    def __init__(self, specs: Sequence[Mapping[str, Any]] = ()) -> None:
        """Parse the specifications."""
        self._known = Parameters(specs)
        self.defaults: Params = self._known.defaults
        self.names = tuple(self.defaults)

    def read(self, given: Any) -> Params:
        """Return the given parameters, and defaults for the others.

        Raises:
            InvalidInstances: `given` is not an object, has a name that the signature does not have,
                or a value of another type.
        """
        problems, found = Problems(), dict(self.defaults)
        if given is not None and not isinstance(given, Mapping):
            problems.add("params", _("wrong type"), self._allowed())
            given = None
        for position, (name, value) in enumerate((given or {}).items(), start=1):
            if name not in self.defaults:
                shown = shown_name(name, position)
                problems.add(shown, _("unknown parameter"), self._allowed())
                continue
            try:
                found[name] = self._known.typed(name, value)
            except ValueError:
                problems.add(name, _("wrong type"), self._known.type_of(name))
        problems.check()
        return found

    def _allowed(self) -> str:
        if not self.names:
            return _("no parameters: the model's signature has none")
        return _("parameters of the signature: {names}", names=", ".join(self.names))
