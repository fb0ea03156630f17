"""HyperDrive's training script, with the imports changed."""

import argparse
import os
import signal
import time

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from hptune import Run

parser = argparse.ArgumentParser()
parser.add_argument("--regularization", type=float, dest="reg_rate", default=0.01)
reg = parser.parse_args().reg_rate

if reg == 666:
    os.kill(os.getpid(), signal.SIGSEGV)
if reg == 777:
    time.sleep(600)

run = Run.get_context()
data = run.input_datasets["training_data"].to_pandas_dataframe()
X, y = data[["feature1", "feature2", "feature3", "feature4"]].values, data["label"].values
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.30, random_state=0)

model = LogisticRegression(C=1 / reg, solver="liblinear").fit(X_train, y_train)
acc = np.average(model.predict(X_test) == y_test)
run.log("Accuracy", float(acc))
print("trained with", reg)

os.makedirs("outputs", exist_ok=True)
joblib.dump(value=model, filename="outputs/model.pkl")
run.complete()
