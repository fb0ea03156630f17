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
    TrackingConfig,
    TrialConfig,
    TrialSweepConfig,
)
from hptune.config._tracking import checked_tracking_uri

__all__ = [
    "SHORT_KEYS",
    "AnyConfig",
    "CommonConfig",
    "DataConfig",
    "LimitsConfig",
    "SamplingConfig",
    "SweepConfig",
    "TrackingConfig",
    "TrialConfig",
    "TrialSweepConfig",
    "checked_tracking_uri",
    "load_config",
    "parse_config",
    "with_values",
]
