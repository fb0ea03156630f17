"""Search spaces: expressions, what may be drawn together, and when two parameter values are the same."""

from hptune.space._arguments import plain_value
from hptune.space._base import Expression
from hptune.space._canonical import Uncanonical, canonical, content_text
from hptune.space._code import CODE
from hptune.space._expressions import (
    choice,
    float_,
    int_,
    lognormal,
    loguniform,
    normal,
    qlognormal,
    qloguniform,
    qnormal,
    quniform,
    randint,
    uniform,
    uniformint,
)
from hptune.space._search_space import (
    Constraint,
    Dimension,
    Params,
    SearchSpace,
    grid_candidates,
    parse_space,
)

__all__ = [
    "CODE",
    "Constraint",
    "Dimension",
    "Expression",
    "Params",
    "SearchSpace",
    "Uncanonical",
    "canonical",
    "choice",
    "content_text",
    "float_",
    "grid_candidates",
    "int_",
    "lognormal",
    "loguniform",
    "normal",
    "parse_space",
    "plain_value",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
    "uniformint",
]
