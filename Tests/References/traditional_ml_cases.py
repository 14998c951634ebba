"""Models of the domain ai.onnx.ml with ONNX Runtime's results, in <cache>/traditional-ml-cases: the layout and the manifest.json of
onnx_node_cases.py. Trained models of scikit-learn's kinds, as skl2onnx converts them (and whose probabilities or predictions are checked
against scikit-learn's own), and single nodes with the attributes that no converter of scikit-learn writes.
"""

import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import MapProto, SequenceProto, TensorProto, helper, numpy_helper

from common import CACHE
from onnx_node_cases import Place

RECIPE = 2
RTOL, ATOL = 1e-5, 1e-5
DOMAIN = "ai.onnx.ml"


def map_proto(value):
    """numpy_helper.from_dict takes strings for names of types."""
    proto = MapProto()
    keys = list(value)
    if isinstance(keys[0], str):
        proto.key_type = TensorProto.STRING
        proto.string_keys.extend(k.encode() for k in keys)
    else:
        proto.key_type = TensorProto.INT64
        proto.keys.extend(keys)
    proto.values.elem_type = SequenceProto.TENSOR
    for item in value.values():
        array = np.asarray(item) if isinstance(item, str) else np.asarray(item, np.float32)
        proto.values.tensor_values.append(numpy_helper.from_array(array))
    return proto


def encoded(value, name):
    if isinstance(value, dict):
        return map_proto(value).SerializeToString()
    if isinstance(value, list):
        proto = SequenceProto(name=name, elem_type=SequenceProto.MAP)
        proto.map_values.extend(map(map_proto, value))
        return proto.SerializeToString()
    return numpy_helper.from_array(np.asarray(value, dtype=object if value.dtype.kind in "OU" else None), name).SerializeToString()


make_attribute = helper.make_attribute


def attribute_of_integers(key, value, *arguments, **named):
    """skl2onnx writes booleans into lists of integers, which protobuf 7 refuses."""
    if isinstance(value, (list, tuple)) and any(isinstance(v, (bool, np.bool_)) for v in value):
        value = [int(v) for v in value]
    return make_attribute(key, value, *arguments, **named)


helper.make_attribute = attribute_of_integers


def add(place, name, model, inputs, correct=None):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = session.run(None, inputs)
    if correct:
        results = correct(results)
    given = [encoded(inputs[i.name], i.name) for i in model.graph.input]
    wanted = [encoded(v, i.name) for v, i in zip(results, model.graph.output)]
    place.add(name, model, given, wanted, f"onnxruntime {onnxruntime.__version__}", RTOL, ATOL)
    return results


def trained(place):
    from skl2onnx import to_onnx
    from sklearn import cluster, ensemble, linear_model, naive_bayes, neighbors, neural_network, preprocessing, svm, tree
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.datasets import make_classification, make_regression
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    def data(classes):
        x, y = make_classification(
            240, 6, n_informative=5, n_redundant=0, n_classes=classes, n_clusters_per_class=1, class_sep=0.7, random_state=classes)
        return x.astype(np.float32), y

    classifiers = {
        "tree": tree.DecisionTreeClassifier(max_depth=5, random_state=0),
        "forest": ensemble.RandomForestClassifier(12, max_depth=5, random_state=0),
        "extra_trees": ensemble.ExtraTreesClassifier(9, max_depth=4, random_state=0),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0),
        "histogram_boosting": ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=0),
        "ada_boost": ensemble.AdaBoostClassifier(n_estimators=6, random_state=0),
        "logistic": linear_model.LogisticRegression(max_iter=500),
        "sgd": linear_model.SGDClassifier(loss="log_loss", random_state=0),
        "ridge": linear_model.RidgeClassifier(),
        "linear_svc": svm.LinearSVC(random_state=0),
        "svc_rbf": svm.SVC(random_state=0),
        "svc_rbf_probability": svm.SVC(probability=True, random_state=0),
        "svc_poly": svm.SVC(kernel="poly", degree=2, coef0=0.5, random_state=0),
        "svc_sigmoid": svm.SVC(kernel="sigmoid", gamma=0.1, random_state=0),
        "svc_linear": svm.SVC(kernel="linear", probability=True, random_state=0),
        "nu_svc": svm.NuSVC(nu=0.2, random_state=0),
        "naive_bayes": naive_bayes.GaussianNB(),
        "neighbors": neighbors.KNeighborsClassifier(3),
        "perceptrons": neural_network.MLPClassifier((8,), max_iter=200, random_state=0),
        "bagging": ensemble.BaggingClassifier(tree.DecisionTreeClassifier(max_depth=3), 4, random_state=0),
        "calibrated": CalibratedClassifierCV(linear_model.LogisticRegression(), cv=2),
    }
    texts = np.array(["bear", "cat", "dog", "Älg"])
    for name, model in classifiers.items():
        for classes in (2, 3):
            for labels in ("ints", "strings"):
                x, y = data(classes)
                model.fit(x, texts[y] if labels == "strings" else y * 3 - 1)
                for zipmap in (True, False):
                    if zipmap and name not in ("forest", "logistic", "svc_rbf_probability"):
                        continue
                    try:
                        made = to_onnx(model, x[:1], options=None if zipmap else {"zipmap": False}, target_opset={"": 18, DOMAIN: 3})
                    except NameError:  # a model without probabilities has no such option
                        made = to_onnx(model, x[:1], target_opset={"": 18, DOMAIN: 3})
                    results = add(place, f"{name}_{classes}_{labels}{'_zipmap' if zipmap else ''}", made, {"X": x[:20]})
                    agrees = np.mean(np.asarray(results[0]) == model.predict(x[:20]))
                    if agrees < 1:
                        print(f"{name} {classes} {labels}: {agrees:.0%} of ONNX Runtime's labels are scikit-learn's")

    x, y = make_regression(200, 5, noise=3, random_state=1)
    x = x.astype(np.float32)
    regressors = {
        "linear_regression": linear_model.LinearRegression(),
        "two_targets": linear_model.LinearRegression(),
        "elastic_net": linear_model.ElasticNet(),
        "poisson": linear_model.PoissonRegressor(max_iter=300),
        "tree_regression": tree.DecisionTreeRegressor(max_depth=5, random_state=0),
        "tree_two_targets": tree.DecisionTreeRegressor(max_depth=4, random_state=0),
        "forest_regression": ensemble.RandomForestRegressor(8, max_depth=5, random_state=0),
        "boosting_regression": ensemble.GradientBoostingRegressor(n_estimators=10, random_state=0),
        "histogram_regression": ensemble.HistGradientBoostingRegressor(max_iter=8, random_state=0),
        "svr": svm.SVR(C=10),
        "nu_svr": svm.NuSVR(kernel="poly", degree=3, coef0=1.0),
        "linear_svr": svm.LinearSVR(random_state=0),
        "neighbors_regression": neighbors.KNeighborsRegressor(3),
    }
    for name, model in regressors.items():
        goal = np.abs(y) / 50 if name == "poisson" else np.stack([y, -2 * y], 1) if "two_targets" in name else y
        model.fit(x, goal)
        # Of float64 there is no tree or machine in ONNX Runtime whose result has the type that skl2onnx declares.
        linear = name in ("linear_regression", "elastic_net", "poisson", "linear_svr", "two_targets", "neighbors_regression")
        for dtype in (np.float32, np.float64) if linear else (np.float32,):
            try:
                made = to_onnx(model, x[:1].astype(dtype), target_opset={"": 18, DOMAIN: 3})
                add(place, f"{name}_{dtype.__name__}", made, {"X": x[:20].astype(dtype)})
            except Exception as error:
                print(f"{name}_{dtype.__name__}: {error}".replace("\n", " ")[:160])
    missing = x.copy()
    missing[::3, 1] = np.nan
    model = ensemble.HistGradientBoostingRegressor(max_iter=8, random_state=0).fit(missing, y)
    add(place, "histogram_missing", to_onnx(model, x[:1], target_opset={"": 18, DOMAIN: 3}), {"X": missing[:20]})
    model = svm.OneClassSVM(nu=0.2).fit(x)
    add(place, "one_class", to_onnx(model, x[:1], target_opset={"": 18, DOMAIN: 3}), {"X": x[:20]})
    model = ensemble.IsolationForest(n_estimators=6, random_state=0).fit(x)
    add(place, "isolation_forest", to_onnx(model, x[:1], target_opset={"": 18, DOMAIN: 3}), {"X": x[:20]})

    x, y = data(3)
    x[::7, 2] = np.nan
    steps = {
        "imputer_scaler": (SimpleImputer(), preprocessing.StandardScaler()),
        "median_min_max": (SimpleImputer(strategy="median"), preprocessing.MinMaxScaler()),
        "robust_pca": (SimpleImputer(), preprocessing.RobustScaler(), PCA(3)),
        "normalizer_l1": (SimpleImputer(), preprocessing.Normalizer("l1")),
        "normalizer_l2": (SimpleImputer(), preprocessing.Normalizer("l2")),
        "normalizer_max": (SimpleImputer(), preprocessing.Normalizer("max")),
        "binarizer": (SimpleImputer(), preprocessing.Binarizer(threshold=0.3)),
        "polynomials": (SimpleImputer(), preprocessing.PolynomialFeatures(2)),
        "bins": (SimpleImputer(), preprocessing.KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf")),
        "means": (SimpleImputer(), cluster.KMeans(3, n_init=2, random_state=0)),
    }
    for name, parts in steps.items():
        made = to_onnx(make_pipeline(*parts).fit(x), x[:1], target_opset={"": 18, DOMAIN: 3})
        add(place, f"pipeline_{name}", made, {"X": x[:20]})
    model = make_pipeline(SimpleImputer(), preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(x, texts[y])
    add(place, "pipeline_logistic", to_onnx(model, x[:1], target_opset={"": 18, DOMAIN: 3}), {"X": x[:20]})

    words = np.array([["red", "S"], ["green", "M"], ["blue", "L"], ["red", "L"], ["green", "S"], ["blue", "M"]], dtype=object)
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    for name, encoder in {
        "one_hot": preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        "ordinal": preprocessing.OrdinalEncoder(),
    }.items():
        made = to_onnx(encoder.fit(words), initial_types=[("X", StringTensorType([None, 2]))], target_opset={"": 18, DOMAIN: 3})
        add(place, f"{name}_strings", made, {"X": words})
    numbers = np.array([[1, 7], [2, 9], [5, 7], [1, 9]], np.int64)
    made = to_onnx(
        preprocessing.OneHotEncoder(sparse_output=False).fit(numbers), initial_types=[("X", Int64TensorType([None, 2]))],
        target_opset={"": 18, DOMAIN: 3})
    add(place, "one_hot_ints", made, {"X": numbers})
    made = to_onnx(
        preprocessing.LabelEncoder().fit(words[:, 0]), initial_types=[("X", StringTensorType([None]))], target_opset={"": 18, DOMAIN: 3})
    add(place, "labels_strings", made, {"X": words[:, 0]})


def node(place, name, operator, inputs, outputs=1, version=3, correct=None, **attributes):
    """A model of one node; inputs are arrays, or (a map, its type)."""
    infos, given, names = [], {}, []
    for index, value in enumerate(inputs):
        names.append(f"x{index}")
        if isinstance(value, tuple):
            value, (key, item) = value
            kind = onnx.TypeProto(
                map_type=onnx.TypeProto.Map(key_type=key, value_type=helper.make_tensor_type_proto(item, None)))
            infos.append(helper.make_value_info(names[-1], kind))
        else:
            infos.append(helper.make_tensor_value_info(names[-1], helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
        given[names[-1]] = value
    results = [f"y{k}" for k in range(outputs)]
    made = helper.make_node(operator, names, results, domain=DOMAIN, **attributes)
    graph = helper.make_graph([made], name, infos, [helper.make_value_info(r, onnx.TypeProto()) for r in results])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, version)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for info, found in zip(model.graph.output, session.get_outputs()):
        kinds = {"tensor(float)": 1, "tensor(double)": 11, "tensor(int64)": 7, "tensor(int32)": 6, "tensor(int16)": 5, "tensor(string)": 8}
        if found.type in kinds:
            info.CopyFrom(helper.make_tensor_value_info(info.name, kinds[found.type], None))
        else:
            key = TensorProto.STRING if "string," in found.type else TensorProto.INT64
            element = onnx.TypeProto(
                map_type=onnx.TypeProto.Map(key_type=key, value_type=helper.make_tensor_type_proto(TensorProto.FLOAT, None)))
            info.CopyFrom(helper.make_value_info(info.name, helper.make_sequence_type_proto(element)))
    return add(place, name, model, given, correct)


TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]


def single_nodes(place):
    random = np.random.default_rng(5)
    refused = []

    def attempt(name, *arguments, **attributes):
        try:
            node(place, name, *arguments, **attributes)
        except Exception as error:
            refused.append(f"{name}: {error}".replace("\n", " ")[:160])

    x = random.normal(size=(7, 3)).astype(np.float32)

    def stumps(prefix, ids, weights, modes=None):
        """Two trees of one comparison each, whose four leaves vote for ids with weights."""
        return {
            "nodes_treeids": [0, 0, 0, 1, 1, 1], "nodes_nodeids": [0, 1, 2, 0, 1, 2], "nodes_featureids": [0, 0, 0, 2, 0, 0],
            "nodes_modes": modes or ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"],
            "nodes_values": [0.1, 0, 0, -0.2, 0, 0], "nodes_truenodeids": [1, 0, 0, 1, 0, 0], "nodes_falsenodeids": [2, 0, 0, 2, 0, 0],
            **leaves(prefix, ids, weights)}

    def leaves(prefix, ids, weights):
        """A vote of each leaf, or a vote for each of two classes."""
        each = len(ids) // 4
        trees, nodes = np.repeat([0, 0, 1, 1], each).tolist(), np.repeat([1, 2, 1, 2], each).tolist()
        more = [w / 2 - 0.1 for w in weights]
        weights = weights if each == 1 else [w for pair in zip(weights, more) for w in pair]
        return {f"{prefix}_treeids": trees, f"{prefix}_nodeids": nodes, f"{prefix}_ids": ids, f"{prefix}_weights": weights}

    def highest(results):
        """Where the leaves vote for both of two classes ONNX Runtime answers 0 or 1, whatever the labels are and whichever has more."""
        return [np.array([4, 9], np.int64)[results[1].argmax(1)], results[1]]

    positive, mixed = [0.25, 0.75, 0.5, 0.125], [0.25, -0.75, 0.5, -0.125]
    for transform in TRANSFORMS:
        for kind, weights in (("positive", positive), ("mixed", mixed)):
            for name, ids, labels in [
                ("one_side", [1] * 4, [4, 9]), ("first_side", [0] * 4, [4, 9]), ("both_sides", [0, 1] * 4, [4, 9]),
                ("three", [0, 1, 2, 0], [4, 9, 5]), ("one_label", [0] * 4, [1]),
            ]:
                for base in ([], [0.3], [0.2, 0.4], [0.1, 0.2, 0.3]):
                    # ONNX Runtime leaves a base value out where no leaf votes for its target, and undefined what PROBIT makes of two.
                    if len(labels) == 2 and (len(base) == 2 or transform == "PROBIT" or base and name == "both_sides"):
                        continue
                    if len(base) > max(len(labels), 2) or len(labels) == 3 and len(base) == 2 or (transform != "NONE" and len(base) == 1):
                        continue
                    more = {"base_values": base} if base else {}
                    attempt(
                        f"classifier_{name}_{kind}_{transform}_{len(base)}", "TreeEnsembleClassifier", [x], 2,
                        classlabels_int64s=labels, post_transform=transform, correct=highest if name == "both_sides" else None,
                        **stumps("class", ids, weights), **more)
        attempt(
            f"classifier_strings_{transform}", "TreeEnsembleClassifier", [x], 2, classlabels_strings=["no", "yes"],
            post_transform=transform, **stumps("class", [1] * 4, positive))
        for ids, targets in (([0] * 4, 1), ([0, 1, 1, 0], 2)):
            for base in ([], [0.3]) if targets == 1 else ([],):
                more = {"base_values": base} if base else {}
                attempt(
                    f"regressor_{targets}_{transform}_{len(base)}", "TreeEnsembleRegressor", [x], n_targets=targets,
                    post_transform=transform, **stumps("target", ids, positive), **more)
        for intercepts, labels in ((([0.3], [0, 1]),) if transform != "PROBIT" else ()) + ( ([0.3, -0.2], [5, 6]), ([0.1, 0.2, -0.3], [1, 2, 3])):
            attempt(
                f"linear_{len(intercepts)}_{len(labels)}_{transform}", "LinearClassifier", [x], 2, classlabels_ints=labels,
                coefficients=random.normal(size=3 * len(intercepts)).tolist(), intercepts=intercepts, post_transform=transform)
        for targets in (1, 2):
            attempt(
                f"linear_regressor_{targets}_{transform}", "LinearRegressor", [x], targets=targets, post_transform=transform,
                coefficients=random.normal(size=3 * targets).tolist(), intercepts=[0.5, -0.25][:targets])
        for classes, probability in (() if transform == "PROBIT" else ((2, False),)) + ( (2, True), (3, False), (3, True)):
            pairs = classes * (classes - 1) // 2
            more = {"prob_a": [-1.5] * pairs, "prob_b": [0.1] * pairs} if probability else {}
            attempt(
                f"svm_{classes}_{'p' if probability else 'd'}_{transform}", "SVMClassifier", [x], 2,
                classlabels_ints=list(range(classes)), kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], post_transform=transform,
                vectors_per_class=[2] * classes, support_vectors=random.normal(size=classes * 6).tolist(),
                coefficients=random.normal(size=(classes - 1) * classes * 2).tolist(), rho=random.normal(size=pairs).tolist(), **more)
        for classes in (2, 3):
            attempt(
                f"svm_linear_{classes}_{transform}", "SVMClassifier", [x], 2, classlabels_ints=list(range(classes)),
                kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0], post_transform=transform, coefficients=random.normal(size=classes * 3).tolist(), rho=[0.25])
    for mode in ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ"):
        rows = x.copy()
        rows[0, 0], rows[1, 2], rows[2, 0] = 0.1, -0.2, np.nan
        for missing in (0, 1):
            attempt(
                f"regressor_{mode}_{missing}", "TreeEnsembleRegressor", [rows], n_targets=1, nodes_missing_value_tracks_true=[missing] * 6,
                **stumps("target", [0] * 4, mixed, [f"BRANCH_{mode}", "LEAF", "LEAF"] * 2))
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        for targets, ids in ((1, [0] * 4), (2, [0, 1, 1, 0]), (3, [0, 1, 1, 0])):
            attempt(
                f"regressor_{aggregate}_{targets}", "TreeEnsembleRegressor", [x], n_targets=targets, aggregate_function=aggregate,
                **({"base_values": [0.5]} if targets == 1 else {}), **stumps("target", ids, mixed))
        for targets in (1, 2):
            attempt(
                f"regressor_several_weights_{aggregate}_{targets}", "TreeEnsembleRegressor", [x], n_targets=targets,
                aggregate_function=aggregate, **stumps("target", [0] * 8, mixed))
    for dtype in (np.float64, np.int64, np.int32):
        rows = (x * 3).astype(dtype)
        if dtype == np.float64:
            attempt("regressor_float64", "TreeEnsembleRegressor", [rows], n_targets=1, **stumps("target", [0] * 4, mixed))
        attempt(
            f"classifier_{dtype.__name__}", "TreeEnsembleClassifier", [rows], 2, classlabels_int64s=[4, 9, 5],
            **stumps("class", [0, 1, 2, 0], mixed))
        attempt(f"scaler_{dtype.__name__}", "Scaler", [rows], offset=[0.5, 1.0, -1.0], scale=[2.0, 0.25, 3.0])
        attempt(f"normalizer_{dtype.__name__}", "Normalizer", [rows], norm="L2")
        attempt(f"linear_{dtype.__name__}", "LinearClassifier", [rows], 2, classlabels_ints=[0, 1, 2],
                coefficients=random.normal(size=9).tolist(), intercepts=[0.1, 0.2, 0.3])
        attempt(f"svm_{dtype.__name__}", "SVMClassifier", [rows], 2, classlabels_ints=[0, 1], kernel_type="LINEAR",
                kernel_params=[0.0, 0.0, 0.0], coefficients=random.normal(size=6).tolist(), rho=[0.25])
    attempt("binarizer", "Binarizer", [x], threshold=0.5)
    attempt("scaler_one", "Scaler", [x], offset=[0.5], scale=[2.0])
    attempt("scaler_row", "Scaler", [x[0]], offset=[0.5, 1.0, -1.0], scale=[2.0, 0.25, 3.0])
    for norm in ("MAX", "L1", "L2"):
        rows = x.copy()
        rows[0], rows[1] = 0, -np.abs(rows[1])
        attempt(f"normalizer_{norm}", "Normalizer", [rows], norm=norm)
    rows = x.copy()
    rows[0, 0], rows[3, 2] = np.nan, np.nan
    attempt("imputer_one", "Imputer", [rows], imputed_value_floats=[7.5], replaced_value_float=float("nan"))
    attempt("imputer_each", "Imputer", [rows], imputed_value_floats=[7.5, 8.5, 9.5], replaced_value_float=float("nan"))
    attempt("imputer_ints", "Imputer", [np.array([[1, 2], [2, 3]], np.int64)], imputed_value_int64s=[-1], replaced_value_int64=2)
    for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        for one_class in (0, 1):
            attempt(
                f"svr_{kernel}_{one_class}", "SVMRegressor", [x], n_supports=2, kernel_type=kernel, kernel_params=[0.5, 0.25, 2.0],
                support_vectors=random.normal(size=6).tolist(), coefficients=[0.75, -0.5], rho=[0.1], one_class=one_class)
    attempt("svr_linear", "SVMRegressor", [x], n_supports=0, kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0], coefficients=[0.75, -0.5, 1.5], rho=[0.1])

    words = np.array([["cat", "dog"], ["Älg", "cow"]], dtype=object)
    attempt("labels_1_strings", "LabelEncoder", [words], version=1, classes_strings=["dog", "cat", "Älg"], default_int64=-7)
    attempt("labels_1_ints", "LabelEncoder", [np.array([2, 0, 9, -1], np.int64)], version=1, classes_strings=["dog", "cat", "Älg"])
    keys = {"strings": ["dog", "cat", "Älg"], "int64s": [2, -5, 9], "floats": [0.5, float("nan"), -0.0]}
    values = {"strings": ["a", "b", "c"], "int64s": [10, 20, 30], "floats": [1.5, 2.5, 3.5]}
    inputs = {"strings": words, "int64s": np.array([9, 2, 0, -5], np.int64), "floats": np.array([0.5, np.nan, 0.0, 3], np.float32)}
    for key in keys:
        for value in values:
            for version in (2, 4):
                attempt(
                    f"labels_{version}_{key}_{value}", "LabelEncoder", [inputs[key]], version=version, **{f"keys_{key}": keys[key]},
                    **{f"values_{value}": values[value]})
    for dtype in (np.int16, np.int64, np.float64):
        attempt(
            f"labels_4_tensor_{dtype.__name__}", "LabelEncoder", [words], version=4,
            keys_tensor=numpy_helper.from_array(np.array(["cat", "cow"], dtype=object)),
            values_tensor=numpy_helper.from_array(np.array([3, 4], dtype)), default_tensor=numpy_helper.from_array(np.array([-2], dtype)))
    attempt("categories_strings", "CategoryMapper", [words], cats_strings=["dog", "cat"], cats_int64s=[5, 6], default_int64=-3)
    attempt(
        "categories_ints", "CategoryMapper", [np.array([6, 5, 0], np.int64)], cats_strings=["dog", "cat"], cats_int64s=[5, 6],
        default_string="?")
    attempt("one_hot_words", "OneHotEncoder", [words], cats_strings=["cat", "dog", "Älg"])
    attempt("one_hot_numbers", "OneHotEncoder", [np.array([[1, 7, 9]], np.int64)], cats_int64s=[7, 9, 11])
    attempt("one_hot_floats", "OneHotEncoder", [np.array([1.5, 7.9, -0.5], np.float32)], cats_int64s=[7, 0, 11])
    attempt("extract", "ArrayFeatureExtractor", [x, np.array([[2, 0]], np.int64)])
    attempt("extract_row", "ArrayFeatureExtractor", [x[0], np.array([1], np.int64)])
    attempt("extract_words", "ArrayFeatureExtractor", [words, np.array([1, 1, 0], np.int64)])
    attempt("extract_three", "ArrayFeatureExtractor", [random.normal(size=(2, 3, 4)), np.array([3, 1], np.int64)])
    attempt("vector", "FeatureVectorizer", [x, x[:, :2]], inputdimensions=[3, 2])
    attempt("vector_padded", "FeatureVectorizer", [(x * 5).astype(np.int64)] * 2, inputdimensions=[2, 4])
    attempt("zip_ints", "ZipMap", [x], classlabels_int64s=[7, -3, 5])
    attempt("zip_strings", "ZipMap", [x], classlabels_strings=["b", "a", "Ä"])
    attempt("zip_row", "ZipMap", [x[0]], classlabels_strings=["b", "a", "Ä"])
    by_name = ({"b": 2.5, "a": 1.5}, (TensorProto.STRING, TensorProto.FLOAT))
    by_number = ({3: 2.5, 0: -1.75}, (TensorProto.INT64, TensorProto.FLOAT))
    attempt("vocabulary_words", "DictVectorizer", [by_name], string_vocabulary=["a", "c", "b", "a"])
    attempt("vocabulary_numbers", "DictVectorizer", [by_number], int64_vocabulary=[0, 1, 3])
    for target in ("TO_FLOAT", "TO_STRING", "TO_INT64"):
        for form in ("DENSE", "SPARSE"):
            attempt(f"map_{target}_{form}", "CastMap", [by_number], cast_to=target, map_form=form, max_map=5)
    for aggregate in range(4):
        attempt(
            f"ensemble_{aggregate}", "TreeEnsemble", [x.astype(np.float64)], version=5, aggregate_function=aggregate, n_targets=2,
            tree_roots=[0, 1], nodes_featureids=[0, 2], nodes_modes=numpy_helper.from_array(np.array([0, 3], np.uint8)),
            nodes_splits=numpy_helper.from_array(np.array([0.1, -0.2])), nodes_truenodeids=[0, 2], nodes_trueleafs=[1, 1],
            nodes_falsenodeids=[1, 3], nodes_falseleafs=[1, 1], leaf_targetids=[0, 1, 1, 0],
            leaf_weights=numpy_helper.from_array(np.array(mixed)))
    if refused:
        print(f"{len(refused)} that ONNX Runtime doesn't run:", *refused, sep="\n  ")


def main():
    warnings.filterwarnings("ignore")
    onnxruntime.set_default_logger_severity(4)
    folder = CACHE / "traditional-ml-cases"
    stamp, made = folder / "made-by.txt", f"{RECIPE} {onnx.__version__} {onnxruntime.__version__}\n"
    if stamp.exists() and stamp.read_text() == made:
        print(f"{folder} is there")
        return
    place = Place("traditional-ml-cases")
    trained(place)
    single_nodes(place)
    place.finish()
    stamp.write_text(made)


if __name__ == "__main__":
    main()
