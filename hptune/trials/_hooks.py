"""What a training script's Python does before the script starts, whichever Python that is.

``import hptune`` gives the sweep's own hptune, without anything else that is installed beside it. What the script
logs with ``mlflow.log_metric`` and ``log_metrics`` is logged to the run as well as to wherever MLflow logs; MLflow is
not imported for that.

A script cannot be counted on to import this. So its text becomes a ``sitecustomize`` module, which Python imports by
itself when it starts: it needs nothing but the standard library.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["install", "write_hooks"]


def write_hooks(directory: Path) -> None:
    """Write the module that Python imports where `directory` is on its path."""
    source = importlib.util.find_spec(__name__).loader.get_source(__name__)  # type: ignore[union-attr]
    home = Path(__file__).parents[2]  # a directory, or a zip file
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(f"{source}\n\ninstall({str(home)!r})\n", "utf-8")


def install(home: str) -> None:
    """Set up what this module says; `home` is where hptune is."""
    sys.meta_path[:0] = [_Hptune(home), _Mlflow()]
    here = str(Path(__file__).parent)
    sys.path[:] = [place for place in sys.path if place != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if (
        spec is not None and spec.loader is not None
    ):  # the environment's own, which this one stands in front of
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


class _Hptune(importlib.abc.MetaPathFinder):
    """Finds the sweep's hptune."""

    def __init__(self, home: str) -> None:
        self._home = home

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.PathFinder.find_spec(name, [self._home]) if name == "hptune" else None


class _Mlflow(importlib.abc.MetaPathFinder):
    """Finds MLflow where it is, and changes it once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "mlflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _log_both_ways(module)


def _log_both_ways(mlflow: Any) -> None:
    """Let MLflow's two functions log to the run as well."""
    from hptune.context import Run

    log_metric, log_metrics = mlflow.log_metric, mlflow.log_metrics

    def one(key: str, value: float, step: int | None = None, *more: Any, **named: Any) -> Any:
        Run.get_context().log(key, value, step=step)
        return log_metric(key, value, step, *more, **named)

    def several(metrics: Mapping[str, float], step: int | None = None, *more: Any, **named: Any) -> Any:
        for key, value in metrics.items():
            Run.get_context().log(key, value, step=step)
        return log_metrics(metrics, step, *more, **named)

    mlflow.log_metric, mlflow.log_metrics = one, several
