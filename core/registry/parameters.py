"""Parameters that a signature declares, and their values as MLflow types them."""

from collections.abc import Mapping, Sequence
from typing import Any


class Parameters:
    """The parameters of one signature; `defaults` has the default of each by name."""

    def __init__(self, specs: Sequence[Mapping[str, Any]] = ()) -> None:
        """Read the specifications that MLflow's `ParamSchema.to_dict` gives."""
        self._specs: dict[str, Any] = {}
        if specs:
            from mlflow.types.schema import ParamSpec

            self._specs = {str(spec["name"]): ParamSpec.from_json_dict(**spec) for spec in specs}
        self.defaults = {name: spec.default for name, spec in self._specs.items()}

    def type_of(self, name: str) -> str:
        """Return what MLflow calls a parameter's type."""
        return str(getattr(self._specs[name].dtype, "name", "object"))

    def typed(self, name: str, value: Any) -> Any:
        """Return a value as the model gets it.

        Raises:
            ValueError: it is not of the parameter's type; it is not repeated.
        """
        spec = self._specs[name]
        try:
            return spec.validate_param_spec(value, spec)
        except Exception:  # whatever MLflow raises repeats the value
            raise ValueError(name) from None
