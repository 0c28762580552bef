"""What a served version may be made of, besides what skops trusts by itself."""

PLAIN_TYPES = frozenset(
    {
        "functools.partial",
        "numpy.diff",
        "numpy.digitize",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",
    }
)
"""Types that skops asks about and that are plain data of scikit-learn's own estimators."""
