"""As in Azure ML's documentation of sweep jobs."""

import argparse
import random

import mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--A", type=float, default=0.5)
parser.add_argument("--B", type=str, default="hello world")
parser.add_argument("--C", type=float, default=1.0)
args = parser.parse_args()

random_metric = random.random() + args.C
print(args)
mlflow.log_metric("random_metric", random_metric)
