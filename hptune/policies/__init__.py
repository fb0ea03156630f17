"""Early termination: which runs are not worth going on with. Policies are pure; they know of no fits and no network."""

from hptune.policies._asha import SuccessiveHalvingPolicy
from hptune.policies._base import History, Policy, Report, Shape
from hptune.policies._hyperdrive import BanditPolicy, MedianStoppingPolicy, TruncationSelectionPolicy
from hptune.policies._parse import BY_NAME, parse_policy, written
from hptune.policies._racing import RacingPolicy

__all__ = [
    "BY_NAME",
    "BanditPolicy",
    "History",
    "MedianStoppingPolicy",
    "Policy",
    "RacingPolicy",
    "Report",
    "Shape",
    "SuccessiveHalvingPolicy",
    "TruncationSelectionPolicy",
    "parse_policy",
    "written",
]
