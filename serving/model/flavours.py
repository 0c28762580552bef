"""Loading of a package's estimator by flavour: data is read, code needs `ALLOW_PICKLE`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.files.archives import ArchiveTooLarge, check_archive
from core.files.skops_models import foreign_types, load_plain
from core.messages import _
from core.registry.files import Package
from core.registry.packages import load_untrusted
from serving.compiled.boosters import NotData, WithParams, load_catboost, load_xgboost
from serving.config.settings import Settings

METHODS = ("predict_proba", "predict")
_LIGHTGBM_BOOSTER = "lightgbm.basic.Booster"

Flavor = Mapping[str, Any]


class UnfitError(Exception):
    """A failed check of a version; re-raised as VersionRefused where its number is known."""


def method_of(package: Package, settings: Settings) -> Any:
    """Load the model; return the method that its pyfunc flavour names.

    Raises:
        UnfitError: it must not or cannot be loaded.
    """
    if "python_function" not in package.flavors:
        raise UnfitError(_("it has no python_function flavor"))
    if any(flavor.get("code") for flavor in package.flavors.values()):
        raise UnfitError(_("it brings code of its own (code_paths)"))
    estimator = _data(package, settings)
    if estimator is None:
        estimator = _program(package, settings)
    named = package.method
    if named not in METHODS or not hasattr(estimator, named):
        raise UnfitError(_("pyfunc_predict_fn must be one of {methods}", methods=METHODS))
    return getattr(estimator, named)


def _data(package: Package, settings: Settings) -> Any:
    """Return the estimator of a package in a data format; None for any other."""
    name = next((name for name in _READERS if name in package.flavors), None)
    if name is None:
        return None
    flavor = package.flavors[name]
    file = _file(package.folder, str(flavor.get("pickled_model") or flavor.get("data")))
    if file.stat().st_size > settings.max_model_bytes:
        raise UnfitError(_("the model file is larger than MAX_MODEL_BYTES"))
    try:
        estimator = _READERS[name](file, flavor, settings)
    except UnfitError:
        raise
    except NotData:
        return None
    except ImportError as exc:
        raise UnfitError(
            _("it needs the package {name}, not installed here", name=exc.name)
        ) from exc
    except Exception as exc:
        kind = type(exc).__name__
        raise UnfitError(_("the model file cannot be read ({kind})", kind=kind)) from exc
    if name == "xgboost" and package.params:
        return WithParams(estimator, package.params)
    return estimator


def _file(folder: Path, name: str) -> Path:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise UnfitError(_("the model file is not in the version"))
    return file


def _skops(file: Path, flavor: Flavor, settings: Settings) -> Any:
    """Load a skops file of trusted types; the file's own list of types is never used.

    Raises:
        NotData: the flavour's file is not in skops format.
        UnfitError: it holds other types, or unpacks to more than `max_model_bytes`.
    """
    if flavor.get("serialization_format") != "skops":
        raise NotData
    try:
        check_archive(file, settings.max_model_bytes)
    except ArchiveTooLarge as exc:
        raise UnfitError(_("the model file unpacks to more than it may (MAX_MODEL_BYTES)")) from exc
    foreign = foreign_types(file, settings.trusted_types)
    if foreign:
        listed = ", ".join(foreign)
        raise UnfitError(
            _("it uses types outside the accepted list (TRUSTED_TYPES): {listed}", listed=listed)
        )
    return load_plain(file)


def _lightgbm(file: Path, flavor: Flavor, settings: Settings) -> Any:
    """Load a booster's text file, or the skops file of an estimator."""
    if flavor.get("model_class", _LIGHTGBM_BOOSTER) == _LIGHTGBM_BOOSTER:
        import lightgbm

        return lightgbm.Booster(model_file=file)
    return _skops(file, flavor, settings)


_READERS: Mapping[str, Callable[[Path, Flavor, Settings], Any]] = {
    "sklearn": _skops,
    "xgboost": lambda file, flavor, _settings: load_xgboost(file, flavor),
    "lightgbm": _lightgbm,
    "catboost": lambda file, flavor, _settings: load_catboost(file, flavor),
}


def _program(package: Package, settings: Settings) -> Any:
    """Load a pickle or a pyfunc loader, which may run code here only with `ALLOW_PICKLE`."""
    if not settings.allow_pickle:
        if "sklearn" in package.flavors:
            raise UnfitError(
                _("it is not serialized with skops (pickle only with ALLOW_PICKLE=true)")
            )
        raise UnfitError(
            _(
                "to load its flavor ({flavors}) would run code (only with ALLOW_PICKLE=true)",
                flavors=", ".join(sorted(package.flavors)),
            )
        )
    try:
        return load_untrusted(package)
    except Exception as exc:
        kind = type(exc).__name__
        raise UnfitError(_("the model cannot be loaded ({kind})", kind=kind)) from exc
