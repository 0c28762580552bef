"""The old model: a pickle that is read once, and called with the contract's feature names."""

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn

from core.contract.model import Feature
from core.files.older_sklearn import know_older_names, mend
from core.messages import N_
from mlflow_project.migration.old_files import OldModel
from mlflow_project.versions.errors import Refused

CONSENT = N_(
    "{path} is a pickle: only by being read it may run any program with your rights (delete or "
    "send files, install something). Read it once, and only if you know who made it and where it "
    "has been. If you trust it, repeat with --trust-pickle."
)
_HOLDERS = ("model", "pipeline", "estimator", "classifier")
"""Keys under which a pickled dictionary may hold the classifier."""


@dataclass(frozen=True, slots=True)
class OldEstimator:
    """The fitted classifier, the contents of its files, and scikit-learn's warnings."""

    model: Any
    old: OldModel
    warnings: tuple[str, ...]

    @property
    def positive(self) -> int:
        """Return the index of the positive class: the one that is 1 or true, else the last."""
        classes = [str(one).lower() for one in self.model.classes_]
        return next((i for i, one in enumerate(classes) if one in ("1", "1.0", "true")), 1)

    def scores(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the scores of a frame with the contract's names and order of columns; (n,)."""
        asked = frame.rename(columns=dict(self.old.columns))
        named = hasattr(self.model, "feature_names_in_")
        rows = asked if named else asked.to_numpy()
        return np.asarray(self.model.predict_proba(rows))[:, self.positive]

    def takes_null(self, row: pd.DataFrame, feature: Feature) -> bool:
        """Return whether the model scores a row (1, k) in which this feature is missing."""
        numeric = feature.type == "double"
        column = pd.Series([np.nan if numeric else None], dtype="float64" if numeric else "object")
        try:
            scores = self.scores(row.assign(**{feature.name: column}))
        except Exception:
            return False  # any exception: nulls are not supported
        return bool(np.isfinite(scores).all())


def read_pickle(path: Path, old: OldModel) -> OldEstimator:
    """Read the classifier in a joblib file, after consent (`CONSENT`).

    The features are returned in the order it was fitted with.

    Raises:
        Refused: it is no binary classifier over these features.
    """
    if not path.is_file():
        raise Refused(N_("The file {path} does not exist."), path=path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _load(path)
    if isinstance(model, dict):
        model = next((model[key] for key in _HOLDERS if key in model), model)
    if not hasattr(model, "predict_proba") or len(getattr(model, "classes_", ())) != 2:
        text = N_("{path} holds no classifier of two classes with predict_proba.")
        raise Refused(text, path=path)
    told = {str(w.message).split(". ")[0] for w in caught if "Version" in w.category.__name__}
    return OldEstimator(model, _in_model_order(old, model), tuple(sorted(told)))


def _load(path: Path) -> Any:
    import joblib  # type: ignore[import-untyped]

    know_older_names()
    try:
        return mend(joblib.load(path))
    except (ModuleNotFoundError, AttributeError) as exc:
        writer = _writer(path)
        if writer not in (None, sklearn.__version__):
            text = N_(
                "{path} was written by scikit-learn {writer}; {here} is here, which does not read "
                "it ({reason}). Read it there and write it again, or train it anew."
            )
            facts = {"path": path, "writer": writer, "here": sklearn.__version__, "reason": exc}
            raise Refused(text, **facts) from exc
        text = N_(
            "{path} needs code that is not here ({reason}). Put it on PYTHONPATH to read it; "
            "served, the version may have parts of scikit-learn only."
        )
        raise Refused(text, path=path, reason=exc) from exc
    except Exception as exc:
        facts = {"path": path, "reason": type(exc).__name__}
        raise Refused(N_("{path} cannot be read: {reason}."), **facts) from exc


def _writer(path: Path) -> str | None:
    """Return the version of scikit-learn that a pickle states, without unpickling it.

    None if it states none, or is compressed.
    """
    found = re.search(rb"_sklearn_version\W{1,12}(\d+\.\d+(?:\.\w+)*)", path.read_bytes())
    return found[1].decode() if found else None


def _in_model_order(old: OldModel, model: Any) -> OldModel:
    fitted = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if not fitted:
        width = getattr(model, "n_features_in_", len(old.features))
        if width != len(old.features):
            text = N_("The model has {width} inputs; the signature, {signed}.")
            raise Refused(text, width=width, signed=len(old.features))
        return old
    by_column = {old.columns[feature.name]: feature for feature in old.features}
    wrong = sorted(set(fitted) ^ set(by_column))
    if wrong:
        text = N_("The inputs of the model and of the signature differ in: {names}.")
        raise Refused(text, names=", ".join(wrong))
    return replace(old, features=tuple(by_column[column] for column in fitted))
