"""The estimators of scikit-learn that docs/your-own-model.md names: each compiles, or is refused.

The page's two tables are the lists. A classifier is fitted to two classes and to three.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.errors import ModelFileError
from oracle.program.compile import compile_model
from tests.program.models import check_same

pytest.importorskip("sklearn")
skl2onnx = pytest.importorskip("skl2onnx")

from sklearn.base import is_classifier, is_regressor  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402
from sklearn.utils import all_estimators  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "your-own-model.md"
KNOWN = dict(all_estimators())
SMALL: dict[str, Any] = {
    "max_iter": 30, "n_estimators": 4, "max_depth": 3, "hidden_layer_sizes": (5,), "k": 2,
    "n_components": 1, "random_state": 0, "cv": 2, "n_quantiles": 10,
}  # fmt: skip
"""Whichever of them an estimator takes: it is fitted in no time."""

OF_OTHERS = {
    "OneVsRestClassifier": "estimator",
    "OneVsOneClassifier": "estimator",
    "CalibratedClassifierCV": "estimator",
    "StackingClassifier": "estimators",
}
ROWS, KINDS = load_iris(return_X_y=True)
ROWS = ROWS.astype(np.float32)
LENGTHS = KINDS + ROWS[:, 0]


def listed(heading: str) -> list[str]:
    """The estimators in the page's table under this heading."""
    table = PAGE.read_text().partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"`(\w+)`", table)


def fitted(name: str, target: Any) -> Any:
    kind = KNOWN[name]
    small = LogisticRegression(max_iter=30)
    given: dict[str, Any] = {}
    if name in OF_OTHERS:
        several = [("a", small), ("b", DecisionTreeClassifier(max_depth=2))]
        given[OF_OTHERS[name]] = small if OF_OTHERS[name] == "estimator" else several
    made = kind(**given)
    takes = made.get_params(deep=False)
    made.set_params(**{one: value for one, value in SMALL.items() if one in takes})
    whole = made if is_classifier(made) or is_regressor(made) else make_pipeline(made, small)
    return whole.fit(ROWS, target)


def exported(model: Any) -> bytes:
    scores = is_classifier(model) and not isinstance(model, LinearSVC)  # which has no such option
    options = {"zipmap": False} if scores else None
    data: bytes = skl2onnx.to_onnx(model, ROWS[:1], options=options).SerializeToString()
    return data


def targets(name: str) -> list[Any]:
    if is_regressor(KNOWN[name]()) if name not in OF_OTHERS else False:
        return [LENGTHS]
    return [KINDS, (KINDS == 1).astype(int)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", listed("can be compiled"))
def test_what_the_page_lists_is_compiled_and_gives_the_same(name: str) -> None:
    for target in targets(name):
        check_same(exported(fitted(name, target)), ROWS[::10], relative=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", listed("is refused"))
def test_what_the_page_says_is_refused_is(name: str) -> None:
    with pytest.raises(ModelFileError):
        compile_model(exported(fitted(name, targets(name)[0])))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["KNeighborsClassifier", "SVC"])
def test_what_is_refused_names_what_to_use_instead(name: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        compile_model(exported(fitted(name, KINDS)))
    assert "use a tree ensemble, a linear model or a small network" in (caught.value.hint or "")
    assert "(--tier unproven)" in (caught.value.hint or "")


def test_the_page_lists_both() -> None:
    assert {"LogisticRegression", "PCA"} < set(listed("can be compiled"))
    assert {"SVC", "KNeighborsClassifier"} < set(listed("is refused"))
