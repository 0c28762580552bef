"""What a served version may be made of, besides what skops trusts by itself.

Each line gives a module, why what follows is harmless, and names of its types or functions. A type
is listed if reading it only fills in attributes, and a function if it only computes from its
arguments: neither imports, reads files, nor calls a name that it is given. A `functools.partial`
binds arguments of a function that has to be listed here as well, for skops names both.

Left out on purpose:
- distributions of `scipy.stats`, which `exec` a text of their own state while they are read;
- distances by a Python function, and functions that take another by its name or run processes;
- bound methods and `operator`'s functions, such as `operator.methodcaller`.
"""

_BITS = ("32", "64")
_DISTANCES = (
    "BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Kulsinski Mahalanobis "
    "Manhattan Matching Minkowski RogersTanimoto RussellRao SEuclidean SokalMichener SokalSneath"
)

_LISTED: tuple[tuple[str, str, str], ...] = (
    # Python and NumPy
    ("functools", "binds arguments of a listed function", "partial"),
    ("numpy", "names a type of number", "dtype"),
    ("numpy", "arithmetic on arrays", "clip diff digitize nan_to_num round"),
    ("scipy.interpolate._bsplines", "knots and coefficients of splines", "BSpline"),
    ("scipy.sparse._csr", "a matrix as three arrays", "csr_matrix"),
    ("scipy._lib.array_api_compat.numpy._aliases", "makes an array", "asarray"),
    ("collections", "a dictionary", "OrderedDict"),
    # Boosters of other libraries, where those are installed
    ("xgboost.core", "a model as bytes of the library's own format", "Booster"),
    (
        "xgboost.sklearn",
        "parameters and a booster",
        "XGBClassifier XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor",
    ),
    ("lightgbm.basic", "a model as text of the library's own format", "Booster"),
    ("lightgbm.sklearn", "parameters and a booster", "LGBMClassifier LGBMRanker LGBMRegressor"),
    # Trees and their losses
    ("sklearn.tree._tree", "nodes of a tree as arrays", "Tree"),
    ("sklearn.ensemble._hist_gradient_boosting.predictor", "nodes of a tree", "TreePredictor"),
    ("sklearn._loss.loss", "a power, and arithmetic", "HalfTweedieLoss HalfTweedieLossIdentity"),
    # Calibration and thresholds
    (
        "sklearn.calibration",
        "two numbers of a curve, and the classifier that it is applied to",
        "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    ),
    # Columns, features and imputation
    ("sklearn.compose._column_transformer", "a pattern of names", "make_column_selector"),
    ("sklearn.compose._column_transformer", "a list of columns", "_RemainderColsList"),
    ("sklearn.utils.validation", "checks an array", "check_array"),
    (
        "sklearn.feature_selection._univariate_selection",
        "a test of each column, which only fitting uses",
        "chi2 f_classif f_oneway f_regression r_regression",
    ),
    (
        "sklearn.feature_selection._mutual_info",
        "a test of each column, which only fitting uses",
        "mutual_info_classif mutual_info_regression",
    ),
    (
        "sklearn.impute._iterative",
        "the columns that were filled in, by which estimator and from which others",
        "IterativeImputer _ImputerTriplet",
    ),
    # Neighbours, clusters, Gaussian processes, networks
    ("sklearn.neighbors._kd_tree", "rows in a tree, as arrays", "KDTree KDTree32 KDTree64"),
    ("sklearn.neighbors._ball_tree", "rows in a tree, as arrays", "BallTree BallTree32 BallTree64"),
    (
        "sklearn.metrics._dist_metrics",
        "a distance by formula; `PyFuncDistance` is none",
        " ".join(f"{name}Distance{bits}" for name in _DISTANCES.split() for bits in _BITS),
    ),
    ("sklearn.cluster._bisect_k_means", "centres of clusters in a tree", "_BisectingTree"),
    (
        "sklearn.cluster._kmeans",
        "moves centres, which only fitting does",
        "_kmeans_single_elkan _kmeans_single_lloyd",
    ),
    (
        "sklearn.gaussian_process.kernels",
        "parameters of a covariance",
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Hyperparameter "
        "Matern PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel",
    ),
    (
        "sklearn.gaussian_process._gpc",
        "rows and weights of one class against another",
        "_BinaryGaussianProcessClassifierLaplace",
    ),
    (
        "sklearn.neural_network._stochastic_optimizers",
        "step sizes of the fit",
        "AdamOptimizer SGDOptimizer",
    ),
    # Estimators made of estimators
    ("sklearn.multiclass", "one class and nothing else", "_ConstantPredictor"),
    ("sklearn.utils._bunch", "a dictionary", "Bunch"),
    (
        "sklearn.utils._metadata_requests",
        "names of arguments that are passed on",
        "MetadataRequest MethodMetadataRequest",
    ),
    (
        "sklearn.model_selection._search_successive_halving",
        "a search, and the estimator that it found",
        "HalvingGridSearchCV HalvingRandomSearchCV",
    ),
    (
        "sklearn.model_selection._split",
        "a way to split rows, which only fitting uses",
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut "
        "PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold "
        "StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit",
    ),
    (
        "sklearn.metrics._scorer",
        "how a listed score is taken, which only fitting does",
        "_CurveScorer _PassthroughScorer _Scorer",
    ),
    (
        "sklearn.metrics._classification",
        "a score of predictions",
        "accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score "
        "d2_brier_score d2_log_loss_score f1_score fbeta_score hamming_loss hinge_loss "
        "jaccard_score log_loss matthews_corrcoef precision_score recall_score zero_one_loss",
    ),
    (
        "sklearn.metrics._ranking",
        "a score of rankings",
        "average_precision_score dcg_score label_ranking_average_precision_score ndcg_score "
        "roc_auc_score top_k_accuracy_score",
    ),
    (
        "sklearn.metrics._regression",
        "a score of predictions",
        "d2_absolute_error_score d2_pinball_score d2_tweedie_score explained_variance_score "
        "max_error mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance "
        "mean_pinball_loss mean_poisson_deviance mean_squared_error mean_squared_log_error "
        "mean_tweedie_deviance median_absolute_error r2_score root_mean_squared_error "
        "root_mean_squared_log_error",
    ),
)

PLAIN_TYPES = frozenset(
    f"{module}.{name}" for module, _reason, listed in _LISTED for name in listed.split()
)
"""Types and functions that skops asks about and that are data or arithmetic of scikit-learn's."""
