"""Types and functions that a served version may contain, besides those that skops itself trusts.

Modules with names of their types or functions; the comment above them says why they are safe. A
type is listed if loading it only sets attributes, and a function if it only computes from its
arguments: neither imports modules, reads files, nor calls a function given by name. The function
that a `functools.partial` binds must be listed as well, since skops reports both.

Excluded on purpose:
- distributions of `scipy.stats`, which `exec` text of their own state when they are loaded;
- distances by a Python function, and functions that look up others by name or start processes;
- bound methods and `operator`'s functions, such as `operator.methodcaller`.
"""

from collections.abc import Mapping

_DISTANCES = (
    "BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Kulsinski Mahalanobis "
    "Manhattan Matching Minkowski RogersTanimoto RussellRao SEuclidean SokalMichener SokalSneath"
)

_LISTED: Mapping[str, str] = {
    # Python and NumPy: arithmetic on arrays, names of types, containers
    "functools": "partial",
    "numpy": "clip diff digitize dtype nan_to_num round",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.sparse._csr": "csr_matrix",
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "collections": "OrderedDict",
    # Boosters of other libraries, where installed: parameters, a model in the library's own format
    "xgboost.core": "Booster",
    "xgboost.sklearn": "XGBClassifier XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor",
    "lightgbm.basic": "Booster",
    "lightgbm.sklearn": "LGBMClassifier LGBMRanker LGBMRegressor",
    # Trees and their losses: nodes as arrays, arithmetic
    "sklearn.tree._tree": "Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn._loss.loss": "HalfTweedieLoss HalfTweedieLossIdentity",
    # Calibration: two parameters of a curve, and the classifier that it is applied to
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    # Columns: lists and patterns of names, the imputer of each column, validation of an array
    "sklearn.compose._column_transformer": "_RemainderColsList make_column_selector",
    "sklearn.impute._iterative": "IterativeImputer _ImputerTriplet",
    "sklearn.utils.validation": "check_array",
    # Features: a univariate test of each column, used only in fitting
    "sklearn.feature_selection._univariate_selection": (
        "chi2 f_classif f_oneway f_regression r_regression"
    ),
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    # Neighbours and clusters: rows and centres in trees, distances by formula (which excludes
    # `PyFuncDistance`), and the update of centres, used only in fitting
    "sklearn.neighbors._kd_tree": "KDTree KDTree32 KDTree64",
    "sklearn.neighbors._ball_tree": "BallTree BallTree32 BallTree64",
    "sklearn.metrics._dist_metrics": " ".join(
        f"{name}Distance{bits}" for name in _DISTANCES.split() for bits in ("32", "64")
    ),
    "sklearn.cluster._bisect_k_means": "_BisectingTree",
    "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd",
    # Gaussian processes and networks: parameters, rows and weights, step sizes of the fit
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Hyperparameter "
        "Matern PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
    ),
    "sklearn.gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    # Meta-estimators: a constant prediction, names of arguments, a search and its results
    "sklearn.multiclass": "_ConstantPredictor",
    "sklearn.utils._bunch": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "sklearn.model_selection._search_successive_halving": (
        "HalvingGridSearchCV HalvingRandomSearchCV"
    ),
    # Cross-validation splitters and scorers of predictions, used only in fitting
    "sklearn.model_selection._split": (
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut "
        "PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold "
        "StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"
    ),
    "sklearn.metrics._scorer": "_CurveScorer _PassthroughScorer _Scorer",
    "sklearn.metrics._classification": (
        "accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score "
        "d2_brier_score d2_log_loss_score f1_score fbeta_score hamming_loss hinge_loss "
        "jaccard_score log_loss matthews_corrcoef precision_score recall_score zero_one_loss"
    ),
    "sklearn.metrics._ranking": (
        "average_precision_score dcg_score label_ranking_average_precision_score ndcg_score "
        "roc_auc_score top_k_accuracy_score"
    ),
    "sklearn.metrics._regression": (
        "d2_absolute_error_score d2_pinball_score d2_tweedie_score explained_variance_score "
        "max_error mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance "
        "mean_pinball_loss mean_poisson_deviance mean_squared_error mean_squared_log_error "
        "mean_tweedie_deviance median_absolute_error r2_score root_mean_squared_error "
        "root_mean_squared_log_error"
    ),
}

PLAIN_TYPES = frozenset(
    f"{module}.{name}" for module, listed in _LISTED.items() for name in listed.split()
)
"""Types and functions that skops does not trust itself and that are only data or arithmetic."""
