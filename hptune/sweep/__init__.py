"""The loop: plan what is missing, run it, journal every outcome, reduce, refit."""

from hptune.sweep._base import AnySweep, agenda
from hptune.sweep._run import carry_out, partial_result, run
from hptune.sweep._sweep import Sweep
from hptune.sweep._trials import TrialSweep

__all__ = ["AnySweep", "Sweep", "TrialSweep", "agenda", "carry_out", "partial_result", "run"]
