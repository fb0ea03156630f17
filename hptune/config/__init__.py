"""A sweep file: its keys, their defaults, and one clear line for each that cannot be meant."""

from hptune.config._files import SHORT_KEYS, load_config, with_values
from hptune.config._limits import LimitsConfig
from hptune.config._parse import parse_config
from hptune.config._records import (
    AnyConfig,
    CommonConfig,
    DataConfig,
    SamplingConfig,
    SweepConfig,
    TrialConfig,
    TrialSweepConfig,
)

__all__ = [
    "SHORT_KEYS",
    "AnyConfig",
    "CommonConfig",
    "DataConfig",
    "LimitsConfig",
    "SamplingConfig",
    "SweepConfig",
    "TrialConfig",
    "TrialSweepConfig",
    "load_config",
    "parse_config",
    "with_values",
]
