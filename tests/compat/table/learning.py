"""Machine learning on tables: scikit-learn, boosting, prophet, optuna."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_SKLEARN = Package("scikit-learn", ("sklearn",))
_LIGHTGBM = Package("lightgbm", ("lightgbm",))
_CATBOOST = Package("catboost", ("catboost",))
_PROPHET = Package("prophet", ("prophet",))
_OPTUNA = Package("optuna", ("optuna",))

_DATA = "import numpy as np; rng = np.random.default_rng(0); X = rng.normal(size=(40, 4)); y = (X[:, 0] + X[:, 1] > 0).astype(int)"
_TARGET = (
    "import numpy as np; rng = np.random.default_rng(0); X = rng.normal(size=(40, 4)); y = X @ [1.0, 2.0, 0.0, -1.0]"
)


def _model(
    module: str, imported: str, made: str, *values: str, target: bool = False, change: str = "", data: str = ""
) -> Entry:
    """Return the entry of an estimator that is fitted, looked at, and fitted again with other data."""
    return _SKLEARN.entry(
        module,
        (data or (_TARGET if target else _DATA), imported, f"obj = {made}", "fitted = obj.fit(X, y)"),
        values or ("obj.predict(X)",),
        change or "obj.fit(X[:30] * 2, 1 - y[:30])",
        "fitted is obj",
        "repr(obj) == repr(fitted)",
    )


ENTRIES: list[Entry] = [
    _model(
        "sklearn.cluster",
        "from sklearn.cluster import KMeans",
        "KMeans(3, n_init=2, random_state=0)",
        "obj.labels_",
        "obj.cluster_centers_",
        "obj.n_iter_",
    ),
    _model(
        "sklearn.compose",
        "from sklearn.compose import ColumnTransformer; from sklearn.preprocessing import StandardScaler, FunctionTransformer; double = lambda x: x * 2",
        "ColumnTransformer([('a', StandardScaler(), [0, 1]), ('b', FunctionTransformer(double), [2])])",
        "obj.transform(X)",
    ),
    _SKLEARN.entry(
        "sklearn.datasets",
        ("from sklearn import datasets", "obj = datasets.load_iris()", "features = obj.data"),
        ("obj.data", "obj['target'][:5]", "obj.feature_names"),
        "obj.data[0, 0] = 99; obj['extra'] = [1]",
        "obj.data is obj['data']",
        "features is obj.data",
    ),
    _model(
        "sklearn.decomposition",
        "from sklearn.decomposition import PCA",
        "PCA(2, random_state=0)",
        "obj.transform(X)",
        "obj.explained_variance_ratio_",
    ),
    _model(
        "sklearn.discriminant_analysis",
        "from sklearn.discriminant_analysis import LinearDiscriminantAnalysis",
        "LinearDiscriminantAnalysis()",
        "obj.predict_proba(X)",
    ),
    _model(
        "sklearn.dummy",
        "from sklearn.dummy import DummyClassifier",
        "DummyClassifier(strategy='prior')",
        "obj.predict_proba(X)",
    ),
    _model(
        "sklearn.ensemble",
        "from sklearn.ensemble import RandomForestClassifier, HistGradientBoostingClassifier",
        "RandomForestClassifier(5, random_state=0, n_jobs=2)",
        "obj.predict_proba(X)",
        "obj.feature_importances_",
        "len(obj.estimators_)",
    ),
    _SKLEARN.entry(
        "sklearn.feature_extraction.text",
        (
            "from sklearn.feature_extraction.text import TfidfVectorizer",
            "def split(text): return text.split('-')",
            "obj = TfidfVectorizer(tokenizer=split, token_pattern=None); matrix = obj.fit_transform(['a-b', 'b-c-c'])",
        ),
        ("matrix.toarray()", "obj.get_feature_names_out()", "obj.transform(['a-c']).toarray()"),
        "matrix = obj.fit_transform(['x-y', 'y'])",
        "obj.tokenizer is split",
    ),
    _model(
        "sklearn.feature_selection",
        "from sklearn.feature_selection import SelectKBest, f_classif",
        "SelectKBest(f_classif, k=2)",
        "obj.get_support()",
        "obj.scores_",
    ),
    _SKLEARN.entry(
        "sklearn.impute",
        (
            "import numpy as np; from sklearn.impute import SimpleImputer, KNNImputer",
            "obj = SimpleImputer(strategy='median').fit([[1, np.nan], [3, 4], [np.nan, 8]])",
            "near = KNNImputer(n_neighbors=1).fit([[1, 2], [3, 4.0]])",
        ),
        ("obj.statistics_", "obj.transform([[np.nan, 1]])", "near.transform([[np.nan, 4]])"),
        "obj.fit([[0, 0], [10.0, 20]])",
    ),
    _model(
        "sklearn.kernel_ridge", "from sklearn.kernel_ridge import KernelRidge", "KernelRidge(kernel='rbf')", target=True
    ),
    _model(
        "sklearn.linear_model",
        "from sklearn.linear_model import LogisticRegression, LinearRegression",
        "LogisticRegression()",
        "obj.predict_proba(X)",
        "obj.coef_",
    ),
    _model(
        "sklearn.manifold",
        "from sklearn.manifold import Isomap",
        "Isomap(n_neighbors=5, n_components=2)",
        "obj.embedding_.shape",
        "np.abs(obj.embedding_)",
        "obj.reconstruction_error()",
    ),
    _SKLEARN.entry(
        "sklearn.metrics",
        (
            "from sklearn import metrics",
            "obj = metrics.make_scorer(metrics.fbeta_score, beta=2)",
            "table = metrics.confusion_matrix([0, 1, 1], [0, 1, 0])",
        ),
        ("repr(obj)", "table", "obj._kwargs"),
        "obj = metrics.make_scorer(metrics.log_loss, response_method='predict_proba', greater_is_better=False); table[0, 0] = 7",
    ),
    _SKLEARN.entry(
        "sklearn.metrics.pairwise",
        (
            "import numpy as np; from sklearn.metrics import pairwise",
            "obj = pairwise.rbf_kernel(np.eye(3)); kernels = pairwise.PAIRWISE_KERNEL_FUNCTIONS; one = kernels['linear']",
        ),
        ("obj", "sorted(kernels)"),
        "obj[0] = 0",
        "kernels is pairwise.PAIRWISE_KERNEL_FUNCTIONS or kernels == pairwise.PAIRWISE_KERNEL_FUNCTIONS",
        "one is pairwise.linear_kernel",
    ),
    _model(
        "sklearn.mixture",
        "from sklearn.mixture import GaussianMixture",
        "GaussianMixture(2, random_state=0)",
        "obj.predict(X)",
        "obj.means_",
    ),
    _model(
        "sklearn.model_selection",
        "from sklearn.model_selection import GridSearchCV, KFold; from sklearn.tree import DecisionTreeClassifier",
        "GridSearchCV(DecisionTreeClassifier(random_state=0), {'max_depth': [1, 2]}, cv=KFold(3), n_jobs=2)",
        "obj.best_params_",
        "obj.cv_results_['mean_test_score']",
        "obj.predict(X)",
        # Its processes were there when it was made; to start them once more takes seconds.
        change="obj.n_jobs = None; obj.fit(X[:30] * 2, 1 - y[:30])",
    ),
    _model(
        "sklearn.multiclass",
        "from sklearn.multiclass import OneVsRestClassifier; from sklearn.svm import LinearSVC",
        "OneVsRestClassifier(LinearSVC())",
        "obj.decision_function(X)",
    ),
    _model("sklearn.naive_bayes", "from sklearn.naive_bayes import GaussianNB", "GaussianNB()", "obj.predict_proba(X)"),
    _model(
        "sklearn.neighbors",
        "from sklearn.neighbors import KNeighborsClassifier, KDTree, BallTree, KernelDensity",
        "KNeighborsClassifier(3, algorithm='kd_tree')",
        "obj.predict_proba(X)",
        "obj.kneighbors(X[:2])",
        "KDTree(X).query(X[:2])",
    ),
    _model(
        "sklearn.neural_network",
        "from sklearn.neural_network import MLPClassifier; import warnings; warnings.simplefilter('ignore')",
        "MLPClassifier((4,), max_iter=5, random_state=0)",
        "obj.predict_proba(X)",
        "obj.loss_curve_",
    ),
    _model(
        "sklearn.pipeline",
        "from sklearn.pipeline import make_pipeline; from sklearn.preprocessing import StandardScaler; from sklearn.linear_model import Ridge",
        "make_pipeline(StandardScaler(), Ridge())",
        "obj.predict(X)",
        "list(obj.named_steps)",
        target=True,
    ),
    _model(
        "sklearn.preprocessing",
        "from sklearn.preprocessing import StandardScaler, OneHotEncoder, PolynomialFeatures",
        "StandardScaler()",
        "obj.transform(X)",
        "obj.mean_",
    ),
    _model(
        "sklearn.random_projection",
        "from sklearn.random_projection import GaussianRandomProjection",
        "GaussianRandomProjection(2, random_state=0)",
        "obj.transform(X)",
        change="obj.set_params(n_components=3); obj.fit(X)",
    ),
    _model(
        "sklearn.svm",
        "from sklearn.svm import SVC",
        "SVC(probability=False)",
        "obj.decision_function(X)",
        "obj.support_vectors_",
    ),
    _model(
        "sklearn.tree",
        "from sklearn.tree import DecisionTreeClassifier, export_text",
        "DecisionTreeClassifier(random_state=0)",
        "obj.predict(X)",
        "export_text(obj)",
    ),
    _SKLEARN.entry(
        "sklearn.utils",
        (
            "import numpy as np; from sklearn.utils import Bunch, shuffle, check_random_state",
            "obj = Bunch(a=np.arange(3), b='x')",
            "state = check_random_state(4); mixed = shuffle([1, 2, 3], random_state=state)",
        ),
        ("obj.a", "obj.b", "mixed", "state.get_state()[1][:4]"),
        "obj.a[0] = 9; obj.c = [1]; mixed = shuffle(mixed, random_state=state)",
        "obj['a'] is obj.a",
    ),
    _LIGHTGBM.entry(
        "lightgbm.basic.Dataset",
        (
            _DATA,
            "import lightgbm as lgb",
            "obj = lgb.Dataset(X, label=y, free_raw_data=False, params={'verbose': -1, 'min_data_in_leaf': 2, 'min_data_in_bin': 1})",
            "booster = lgb.train({'objective': 'binary', 'verbose': -1, 'min_data_in_leaf': 2, 'num_threads': 1}, obj, num_boost_round=3)",
        ),
        ("obj.get_label()", "obj.num_data(), obj.num_feature()", "booster.predict(X)", "obj.get_data()"),
        "obj.set_label(1 - y); booster = lgb.train({'objective': 'binary', 'verbose': -1, 'min_data_in_leaf': 2, 'num_threads': 1}, obj, num_boost_round=2)",
        "obj.construct() is obj",
    ),
    _CATBOOST.entry(
        "catboost",
        (
            _DATA,
            "from catboost import CatBoostClassifier, Pool",
            "obj = CatBoostClassifier(iterations=5, depth=2, verbose=False, thread_count=1, allow_writing_files=False).fit(X, y)",
        ),
        ("obj.predict_proba(X)", "obj.get_params()['depth']", "obj.tree_count_"),
        "obj.fit(X[:30], 1 - y[:30])",
    ),
    _PROPHET.entry(
        "prophet.Prophet",
        (
            "import logging; logging.disable(logging.INFO)",
            "from prophet import Prophet; import pandas as pd, numpy as np",
            "frame = pd.DataFrame({'ds': pd.date_range('2024-01-01', periods=60), 'y': np.sin(np.arange(60) / 7) + np.arange(60) / 50})",
            "obj = Prophet(uncertainty_samples=0, yearly_seasonality=False, daily_seasonality=False).fit(frame, seed=1)",
        ),
        ("obj.predict(frame.head(5))['yhat']", "obj.history.shape", "obj.growth, obj.uncertainty_samples"),
        "obj.uncertainty_samples = False; obj.params['k'] = obj.params['k'] * 2",
    ),
    _OPTUNA.entry(
        "optuna.Study",
        (
            "import optuna; optuna.logging.set_verbosity(optuna.logging.ERROR)",
            "def goal(trial): return (trial.suggest_float('x', -5, 5) - 2) ** 2",
            "obj = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)); obj.optimize(goal, n_trials=4)",
        ),
        ("[t.value for t in obj.trials]", "obj.best_params", "obj.study_name"),
        "obj.optimize(goal, n_trials=3)",
    ),
]
