"""YAML as people mean it: safe, ``1e-3`` is a number, and a key that stands twice is an error."""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["load_yaml"]

# PyYAML follows YAML 1.1, where a number with an exponent needs a point and a sign: there 1e-3 is text.
_FLOAT = re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the two differences above."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping, whose keys must differ."""
        seen = set()
        for key_node, _ in node.value:
            key = (key_node.tag, str(key_node.value))
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def load_yaml(text: str) -> Any:
    """The content of a YAML text.

    Raises
    ------
    yaml.YAMLError, ValueError, RecursionError
        It is not YAML, or holds a value that cannot be.

    Examples
    --------
    >>> load_yaml("learning_rate: [1e-3, 0.1]")
    {'learning_rate': [0.001, 0.1]}
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
