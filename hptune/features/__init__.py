"""TalkingData's raw files as a feature matrix: blocks of columns over phones, times, apps and categories."""

from __future__ import annotations

from hptune.features._blocks import (
    BLOCKS,
    BY_NAME,
    Block,
    NamedColumns,
    one_hot_app_labels,
    one_hot_brand_model,
    one_hot_category,
    text_category_features,
    weekday_hour_features,
)
from hptune.features._load import ENCODINGS, SETS, check_talkingdata, load_talkingdata
from hptune.features._tables import RawTables, raw_file_names

__all__ = [
    "BLOCKS",
    "BY_NAME",
    "ENCODINGS",
    "SETS",
    "Block",
    "NamedColumns",
    "RawTables",
    "check_talkingdata",
    "load_talkingdata",
    "one_hot_app_labels",
    "one_hot_brand_model",
    "one_hot_category",
    "raw_file_names",
    "text_category_features",
    "weekday_hour_features",
]
