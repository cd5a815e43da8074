"""What could take the place of an operator that the court cannot judge.

A table of advice for the person who exports the model. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CONTROL_FLOW = (
    "export with a fixed number of steps, so that the graph has no control flow (scikit-learn's "
    "nearest neighbours and Gaussian processes cannot be: use a tree ensemble, a linear model or a "
    "small network instead)"
)
_RECURRENT = "unroll it into Gemm, Sigmoid and Tanh at export, or use a convolution or attention"
_TEXT = "encode text as integers before the model"
_RANDOM = "draw random numbers outside the model and make them an input"
_KERNEL = "use a tree ensemble, a linear model or a small network instead"

_REPLACEMENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("If", "Loop", "Scan"), _CONTROL_FLOW),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    **dict.fromkeys(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), _RANDOM
    ),
    **dict.fromkeys(("Bernoulli", "Multinomial"), _RANDOM),
    **dict.fromkeys(("StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch"), _TEXT),
    **dict.fromkeys(("TfIdfVectorizer", "ai.onnx.ml.CategoryMapper"), _TEXT),
    **dict.fromkeys(("ai.onnx.ml.SVMClassifier", "ai.onnx.ml.SVMRegressor"), _KERNEL),
    "NonMaxSuppression": "return all boxes, and suppress them outside the model",
    "Mod": "write a - b·Floor(a / b), or take the remainder outside the model",
    "CumSum": "multiply by a triangular matrix of ones (of scikit-learn, AdaBoostRegressor has it: "
    "use a forest or gradient boosting instead)",
    "ReduceProd": "multiply the parts one by one (scikit-learn's PolynomialFeatures has it: make "
    "the products before the model, and have them as inputs)",
    "GatherND": "use Gather along one axis, or GatherElements",
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), "use Where with a mask"),
    **dict.fromkeys(("IsNaN", "IsInf"), "replace what is not finite outside the model"),
    **dict.fromkeys(
        ("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
        "use a table and Gather, or what Exp, Log, Erf, Tanh and Sigmoid make",
    ),
    "NonZero": "use Where with a mask of fixed size",
    "Unique": "work on a mask of fixed size",
    "Compress": "use Where with a mask of fixed size",
    "InstanceNormalization": "use BatchNormalization or LayerNormalization",
    "LRN": "use BatchNormalization",
    "ConvTranspose": "use Resize by copying (nearest) and Conv",
    "Attention": "export it decomposed: MatMul, Softmax, MatMul",
    "MultiHeadAttention": "export it decomposed: MatMul, Softmax, MatMul",
    "ai.onnx.ml.ZipMap": "export with zipmap=False",
}


def replacement(operator: str) -> str:
    """Advice for an operator, named `Op` or `domain.Op`."""
    advice = _REPLACEMENTS.get(operator, "express it in operators that docs/program.md lists")
    return f"{operator}: {advice}, or register the model as unproven (--tier unproven)"
