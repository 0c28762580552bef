"""Parameters that a signature declares, and validation of their values by MLflow."""

from collections.abc import Mapping, Sequence
from typing import Any


class Parameters:
    """The parameters of one signature; `defaults` has the default of each by name."""

    def __init__(self, specs: Sequence[Mapping[str, Any]] = ()) -> None:
        """Read the specifications that MLflow's `ParamSchema.to_dict` returns."""
        self._specs: dict[str, Any] = {}
        if specs:
            from mlflow.types.schema import ParamSpec

            self._specs = {str(spec["name"]): ParamSpec.from_json_dict(**spec) for spec in specs}
        self.defaults = {name: spec.default for name, spec in self._specs.items()}

    def type_of(self, name: str) -> str:
        """Return MLflow's name of a parameter's type."""
        return str(getattr(self._specs[name].dtype, "name", "object"))

    def typed(self, name: str, value: Any) -> Any:
        """Return a value converted to the parameter's type, as passed to the model.

        Raises:
            ValueError: it is not of that type; the message does not quote it.
        """
        spec = self._specs[name]
        try:
            return spec.validate_param_spec(value, spec)
        except Exception:  # MLflow's messages quote the value
            raise ValueError(name) from None
