"""Models that were made with formulas: what patsy refuses to pickle, and statsmodels makes anew or changes for it.

statsmodels evaluates the formula again when a model is loaded, in whatever code loads it, and takes callbacks out of
results when they are saved. Here all stays what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..kinds import ATOMS

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _by_attributes(pickler: ComponentPickler, thing: Any) -> Any:
    attributes = dict(thing.__dict__)
    plain = {name: value for name, value in attributes.items() if type(value) in ATOMS}
    return rebuild.begun_object, (type(thing), plain), attributes, None, None, rebuild.set_dict


def _matrix(pickler: ComponentPickler, matrix: Any) -> Any:
    # Imported late: `arrays` imports this package.
    from .. import arrays

    return arrays.reduce_array(pickler, matrix)


_OF_PATSY = {
    "categorical": ("_CategoricalBox", "CategoricalSniffer"),
    "constraint": ("LinearConstraint",),
    "contrasts": ("ContrastMatrix", "Treatment", "Poly", "Sum", "Helmert", "Diff"),
    "desc": ("Term", "ModelDesc", "IntermediateExpr"),
    "design_info": ("FactorInfo", "SubtermInfo", "DesignInfo"),
    "eval": ("VarLookupDict", "EvalEnvironment", "EvalFactor"),
    "mgcv_cubic_splines": ("CubicRegressionSpline", "TE"),
    "missing": ("NAAction",),
    "origin": ("Origin",),
    "splines": ("BS",),
    "state": ("Center", "Standardize"),
    "user_util": ("LookupFactor",),
}
DERIVED = {
    **{(f"patsy.{module}", name): _by_attributes for module, names in _OF_PATSY.items() for name in names},
    ("patsy.design_info", "DesignMatrix"): _matrix,
    ("statsmodels.base.data", "ModelData"): _by_attributes,
    ("statsmodels.discrete.discrete_model", "NegativeBinomial"): _by_attributes,
    ("statsmodels.discrete.discrete_model", "DiscreteResults"): _by_attributes,
}
