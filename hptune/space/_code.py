"""What the code of a function or class does, as a text: equal for the same source, whenever it is loaded.

A name alone does not tell a function in a notebook from the one that had its name before.
"""

from __future__ import annotations

import functools
import hashlib
import json
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

__all__ = ["CODE", "code_text"]

CODE = "code "  # begins what tells code
_DIGITS = 16
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_RECORDED = ("hptune", "numpy", "scipy", "sklearn", "xgboost")  # their versions are a sweep's anyway


def code_text(value: Any) -> str | None:
    """The hash of a function's or class's own code, and of the functions and classes of yours that it names.

    The constants of the module that it reads count too: numbers, texts, arrays and what holds them, under names in
    capitals. Line numbers, comments and docstrings do not count, and no other variables: they may be anything, and
    change while a sweep runs. What was installed is known by its version.

    Parameters
    ----------
    value : function or type
        What is imported by name.

    Returns
    -------
    str or None
        None for what is not written in Python, for Python's own modules, and where the version is known anyway.

    Examples
    --------
    >>> code_text(json.dumps), code_text(len)
    (None, None)
    """
    if not isinstance(value, (FunctionType, type)):
        return None
    if _is_installed(value.__module__):
        return _version_text(value.__module__)
    text = json.dumps(_form(value, set()))
    return f"{CODE}{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def _form(value: Any, seen: set[int]) -> Any:
    """The form of a function, a class, or what stands in either; by name what is installed or being told already."""
    if isinstance(value, (FunctionType, type)):
        if id(value) in seen or _is_installed(value.__module__):
            return f"{value.__module__}:{value.__qualname__}"
        seen.add(id(value))
        return _function(value, seen) if isinstance(value, FunctionType) else _class(value, seen)
    if isinstance(value, CodeType):
        return _code(value, None)
    if isinstance(value, (list, dict, set)):  # what can hold itself
        if id(value) in seen:
            return type(value).__name__
        seen.add(id(value))
    if isinstance(value, (tuple, list)):
        return [_form(item, seen) for item in value]
    if isinstance(value, (dict, frozenset, set)):
        return sorted(
            json.dumps(_form(item, seen)) for item in (value.items() if isinstance(value, dict) else value)
        )
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    return [type(value).__name__, repr(value) if isinstance(value, _PLAIN) else ""]


def _function(function: FunctionType, seen: set[int]) -> Any:
    cells = [_form(cell.cell_contents, seen) for cell in function.__closure__ or () if not _is_empty(cell)]
    named = ((name, function.__globals__.get(name)) for name in sorted({*_names(function.__code__)}))
    used = [
        _form(each, seen) for name, each in named if name.isupper() or isinstance(each, (FunctionType, type))
    ]
    defaults = [_form(function.__defaults__, seen), _form(function.__kwdefaults__, seen)]
    return [_code(function.__code__, function.__doc__), defaults, cells, used]


def _class(cls: type, seen: set[int]) -> Any:
    own = {name: _plain_function(value) for name, value in vars(cls).items() if not _is_of_the_class(name)}
    kept = {name: value for name, value in own.items() if isinstance(value, (FunctionType, *_PLAIN))}
    return [
        [_form(base, seen) for base in cls.__bases__],
        {name: _form(value, seen) for name, value in sorted(kept.items())},
    ]


def _plain_function(value: Any) -> Any:
    """The function below a decorator of the standard library."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, functools.cached_property):
        return value.func
    return value.__func__ if isinstance(value, (staticmethod, classmethod)) else value


def _is_of_the_class(name: str) -> bool:
    """Whether Python itself puts this into each class."""
    return name in ("__module__", "__qualname__", "__doc__", "__firstlineno__", "__static_attributes__")


def _code(code: CodeType, docstring: str | None) -> Any:
    consts = code.co_consts
    if docstring is not None and consts and consts[0] == docstring:
        consts = consts[1:]
    table = getattr(code, "co_exceptiontable", b"")  # Python 3.11
    arguments = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    return [code.co_code.hex(), table.hex(), list(code.co_names), arguments, _form(consts, set())]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - that it raises is the only sign
    except ValueError:
        return True
    return False


def _is_installed(module: str | None) -> bool:
    """Whether a module comes with Python, with a package, or with us."""
    root = (module or "").partition(".")[0]
    return root == "hptune" or root in sys.stdlib_module_names or _stands_with_packages(root)


def _version_text(module: str) -> str | None:
    root = module.partition(".")[0]
    version = None if root in _RECORDED else getattr(sys.modules.get(root), "__version__", None)
    return None if version is None or root in sys.stdlib_module_names else f"version {version}"


def _stands_with_packages(root: str) -> bool:
    if root == "__main__":
        return False
    file = getattr(sys.modules.get(root), "__file__", None)
    return file is not None and any(Path(file).is_relative_to(place) for place in _package_places())


@functools.cache
def _package_places() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(
        Path(path)
        for path in {paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()}
    )
