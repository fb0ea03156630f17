"""Spark's daemon, with the libraries loaded: the workers that it forks need not load them anew, which takes seconds."""

import runpy

import hptune.fitters  # noqa: F401
import hptune.search  # noqa: F401

runpy.run_module("pyspark.daemon", run_name="__main__", alter_sys=True)
