"""Package metadata. Tool settings live in pyproject.toml, pins in requirements.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
XGBOOST = ">=2.1.4"  # the first that scikit-learn 1.6 and later work with

setup(
    name="hptune",
    version="0.1.0",
    description="Spark-distributed hyperparameter sweeps: scikit-learn's answer from a fraction of the work",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["hptune", "hptune.*"]),
    package_data={"hptune": ["py.typed"]},
    python_requires=">=3.10",
    install_requires=[
        "cloudpickle>=3",
        "joblib>=1.3",
        "numpy>=1.26",
        "pandas>=1.5",
        "pyarrow>=14",
        "pyyaml>=6",
        "rich>=13",
        "scikit-learn>=1.7",
        "scipy>=1.11",
        "skops>=0.11",
        "threadpoolctl>=3.1",
    ],
    extras_require={
        # xgboost-cpu is the same module as xgboost without 350 MB of GPU libraries: install one, never both. It has
        # no wheel for macOS, where xgboost has no GPU libraries either.
        "cpu": [
            f"xgboost-cpu{XGBOOST} ; sys_platform != 'darwin'",
            f"xgboost{XGBOOST} ; sys_platform == 'darwin'",
        ],
        "gpu": [f"xgboost{XGBOOST}"],
        "bayesian": ["optuna>=5"],
        "mlflow": ["mlflow-skinny>=3"],
        "spark": ["joblibspark>=0.6", "pyspark>=3.5"],
        "azure": ["azure-identity>=1.19", "azure-storage-blob>=12.24"],
    },
    entry_points={"console_scripts": ["hptune = hptune.cli:main"]},
)
