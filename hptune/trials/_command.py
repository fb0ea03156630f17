"""A script's command: its words, their placeholders, and the arguments that a candidate adds."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hptune.context import variable
from hptune.errors import ConfigurationError, did_you_mean
from hptune.trials._package import Package

__all__ = ["Command", "argument", "environment", "parse_command"]

_PLACEHOLDER = re.compile(r"\$\{\{(.*?)\}\}")
_NAMED = re.compile(r"\s*(search_space|inputs)\.(\S+?)\s*")
_PYTHONS = ("python", "python3")


@dataclass(frozen=True)
class Command:
    """A command without its parameters.

    Parameters
    ----------
    words : tuple of str
        The program and its arguments, with placeholders. The program ``python`` is the Python that runs hptune there.
    """

    words: tuple[str, ...]

    @property
    def appends(self) -> bool:
        """Whether parameters come behind, as ``--name value``: no placeholder names one."""
        return not any(kind == "search_space" for kind, _ in self._placeholders())

    def filled(self, params: Mapping[str, Any], inputs: Mapping[str, str]) -> list[str]:
        """The words for a candidate.

        Parameters
        ----------
        params : mapping
            By the names of the search space, with or without leading dashes.
        inputs : mapping of str to str
            Paths and literals by name.

        Examples
        --------
        >>> Command(("train.py",)).filled({"--batch_size": 16, "rate": 0.5}, {})
        ['train.py', '--batch_size', '16', '--rate', '0.5']
        >>> Command(("train.py", "--lr=${{search_space.rate}}")).filled({"rate": 0.5}, {})
        ['train.py', '--lr=0.5']
        """
        by_kind = {
            "search_space": {name.lstrip("-"): argument(value) for name, value in params.items()},
            "inputs": dict(inputs),
        }

        def value_of(match: re.Match[str]) -> str:
            kind, name = _named(match)
            return by_kind[kind].get(name.lstrip("-"), "")  # a parameter that this candidate does not have

        words = [_PLACEHOLDER.sub(value_of, word) for word in self.words]
        words[0] = sys.executable if words[0] in _PYTHONS else words[0]
        if not self.appends:
            return words
        named = ((name if name.startswith("-") else f"--{name}", value) for name, value in params.items())
        return [*words, *(part for name, value in named for part in (name, argument(value)))]

    def check(self, params: Collection[str], inputs: Collection[str]) -> None:
        """Refuse a placeholder that names nothing.

        Raises
        ------
        ConfigurationError
            It names no parameter of the search space, or no input.
        """
        known = {"search_space": {name.lstrip("-") for name in params}, "inputs": set(inputs)}
        for kind, name in self._placeholders():
            if name.lstrip("-") not in known[kind]:
                listed = f"there are {', '.join(sorted(known[kind])) or 'none'}"
                mend = did_you_mean(name, known[kind], listed)
                raise ConfigurationError(f"trial.command names {kind}.{name}, which there is not", mend)

    def _placeholders(self) -> list[tuple[str, str]]:
        return [_named(match) for word in self.words for match in _PLACEHOLDER.finditer(word)]


def parse_command(text: str, code: Package) -> Command:
    """The words of a command, checked against what goes along with it.

    Raises
    ------
    ConfigurationError
        Quotes do not match, a placeholder cannot be read, or the program or its script is not there.
    """
    spaced = _PLACEHOLDER.sub(lambda match: "${{" + match[1].strip() + "}}", text)
    try:
        words = shlex.split(spaced)
    except ValueError as error:
        raise ConfigurationError(f"trial.command cannot be read ({error})", "close the quotes") from error
    if not words:
        raise ConfigurationError("trial.command is empty", "as in command: python train.py")
    if words[0] in _PYTHONS:
        _check_script(words[1:], code)
    elif not (words[0] in code or shutil.which(words[0])):
        raise ConfigurationError(
            f"trial.command: there is no program {words[0]!r}", "name one, as in command: python train.py"
        )
    elif words[0] in code:
        words[0] = f"./{words[0]}"
    command = Command(tuple(words))
    command._placeholders()
    return command


def argument(value: Any) -> str:
    """A parameter's value as an argument: numbers as Python writes them, lists and maps as JSON."""
    return json.dumps(value) if isinstance(value, (list, tuple, dict)) else str(value)


def environment(params: Mapping[str, Any]) -> dict[str, str]:
    """The variables that tell a candidate's parameters, under hptune's names and Azure ML's."""
    names: dict[str, Callable[[str], str]] = {
        "HPTUNE_": variable,
        "AZUREML_SWEEP_": lambda name: name.lstrip("-"),
    }
    return {
        prefix + named(name): argument(value)
        for prefix, named in names.items()
        for name, value in params.items()
    }


def _check_script(words: list[str], code: Package) -> None:
    script = next((word for word in words if not word.startswith("-")), None)
    if script is None or not script.endswith(".py") or "${{" in script:
        return  # python -m package, python -c ...
    if script not in code and not (script.startswith("/") and Path(script).is_file()):
        near = [file.path for file in code.files if file.path.endswith(".py")]
        mend = did_you_mean(
            script, near, "correct trial.command, or name the script's directory as trial.code"
        )
        raise ConfigurationError(f"trial.command: there is no script {script!r}", mend)


def _named(match: re.Match[str]) -> tuple[str, str]:
    named = _NAMED.fullmatch(match[1])
    if named is None:
        raise ConfigurationError(
            f"trial.command has the placeholder {match[0]}",
            "write ${{search_space.NAME}} or ${{inputs.NAME}}",
        )
    return named[1], named[2]
