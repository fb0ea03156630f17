"""How much the phones' brand and model tell about the group, for each half of TalkingData's phone table.

``python -m benchmarks.phone_table DIR`` prints the log loss of a logistic regression (C=0.02, 5 shuffled folds).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits


def main(directory: Path) -> None:
    devices = pd.read_csv(directory / "gender_age_train.csv.zip", dtype={"device_id": "int64"})
    phones = pd.read_csv(directory / "phone_brand_device_model.csv.zip", dtype={"device_id": "int64"})
    phones = phones.drop_duplicates("device_id")
    rows = devices.merge(phones.assign(place=np.arange(len(phones))), on="device_id")
    first = rows["place"] <= rows["place"].median()
    for name, part in (("first half", rows[first]), ("second half", rows[~first]), ("whole table", rows)):
        shares = part["group"].value_counts(normalize=True)
        loss = -float((shares * np.log(shares)).sum())
        print(f"{name}: {len(part)} devices, class shares {loss:.4f}, brand and model {_log_loss(part):.4f}")


def _log_loss(part: pd.DataFrame) -> float:
    X = OneHotEncoder().fit_transform(
        pd.DataFrame({"brand": part["phone_brand"], "model": part["phone_brand"] + part["device_model"]})
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(C=0.02, max_iter=200)
    with threadpool_limits(1):
        return -float(cross_val_score(model, X, part["group"], cv=folds, scoring="neg_log_loss").mean())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
