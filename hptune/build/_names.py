"""What a sweep file names of Python's."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from hptune.errors import ConfigurationError, did_you_mean

__all__ = ["imported"]


def imported(name: str, key: str) -> Any:
    """What ``package.Class`` or ``package.module:function`` names."""
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    if not module_name or not attribute:
        raise ConfigurationError(
            f"{key} {name!r} names no module", "write package.Class or package.module:function"
        )
    if os.getcwd() not in sys.path:  # the user's own module lies in the directory of the command
        sys.path.append(os.getcwd())  # and stays there for worker processes, which copy the path
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module's own code may raise anything
        raise ConfigurationError(
            f"{key} {name!r} cannot be imported ({error})", "install or correct it"
        ) from error
    if not hasattr(module, attribute):
        mend = did_you_mean(attribute, dir(module), f"see what {module_name} holds")
        raise ConfigurationError(f"{key}: {module_name} has no {attribute!r}", mend)
    return getattr(module, attribute)
