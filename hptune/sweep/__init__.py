"""The loop: plan what is missing, run it, journal every outcome, reduce, refit."""

from hptune.sweep._run import carry_out, evaluation, run
from hptune.sweep._sweep import Sweep, agenda

__all__ = ["Sweep", "agenda", "carry_out", "evaluation", "run"]
