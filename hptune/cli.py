"""The command line: ``hptune sample | features | sweep | explain | status | runs | show | mlflow | fetch | upload``."""

from __future__ import annotations

import argparse
import functools
import io
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hptune import __version__, commands
from hptune.commands import say as _say
from hptune.config import SHORT_KEYS, AnyConfig, load_config, parse_config, with_values
from hptune.engine import BY_NAME as ENGINES
from hptune.engine import under_spark_submit
from hptune.errors import ConfigurationError, HptuneError, InputDataError
from hptune.interrupts import Stopped, stoppable
from hptune.storage import default_cache, refuse_secrets, take_credentials, texts_of

__all__ = ["main", "sweep_main"]

_log = logging.getLogger(__name__)

# Flags that are called as their keys are; SHORT_KEYS has the others.
_FLAGS = ("data", "estimator", "cv", "engine", "out")
_ROLES = {
    "target": "the column to predict",
    "id": "the column of row ids",
    "weight": "the column of sample weights",
    "group": "the column of groups that folds keep together",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code says how it went.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own where they are not given.
    """
    parser = _Parser(prog="hptune", description="Spark-distributed hyperparameter sweeps.")
    parser.add_argument("--version", action="version", version=f"hptune {__version__}")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_sample(verbs.add_parser("sample", help="write the seven generated raw files"))
    _add_features(verbs.add_parser("features", help="build and cache the feature matrix"))
    _add_sweep(verbs.add_parser("sweep", help="run a sweep"))
    _add_fetch(verbs.add_parser("fetch", help="bring files here, verified"))
    _add_upload(verbs.add_parser("upload", help="send a directory's files to storage"))
    _add_explain(verbs.add_parser("explain", help="importances and learning curve of a sweep's winner"))
    _add_runs(verbs.add_parser("runs", help="the child runs of a sweep, finished or not"))
    _add_show(verbs.add_parser("show", help="one child run: parameters, metrics, error, files"))
    _add_status(verbs.add_parser("status", help="what a directory holds, finished or not"))
    _add_mlflow(verbs.add_parser("mlflow", help="send what MLflow lacks of a sweep"))
    return _guarded(parser, argv)


def sweep_main(default_config: Path, argv: Sequence[str] | None = None) -> int:
    """``hptune sweep`` with another default for ``--config``: what the scripts in ``jobs/`` are."""
    parser = _Parser(description="Run a sweep.")
    _add_sweep(parser)
    parser.set_defaults(config=default_config)
    return _guarded(parser, argv)


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with its arguments as every other error is told: in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(message, f"see {self.prog} --help")


def _guarded(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """The command's exit code; an error is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal's encoding may lack what a table is drawn with
            stream.reconfigure(errors="replace")
    shown = warnings.showwarning
    warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
    warnings.filterwarnings("ignore", "Scoring failed", UserWarning)  # the table says it, with the cause
    try:
        given = sys.argv[1:] if argv is None else list(argv)
        refuse_secrets(given, "the command line")
        arguments = parser.parse_args(given, argparse.Namespace(given=given))
        os.umask(0o077)  # whatever is written, by libraries too, is the owner's alone
        take_credentials()
        _log_as_asked(verbose=getattr(arguments, "verbose", False))
        with stoppable(with_parent=under_spark_submit()):
            arguments.run(arguments)
    except HptuneError as error:
        _tell(str(error))
        return error.exit_code
    except Stopped as stopped:
        _say(f"stopped early: {stopped.reason}")
        return stopped.exit_code
    except Exception as error:
        _log.debug("unexpected error", exc_info=True)  # the traceback where --verbose asks for it
        told = _unexpected(error)
        _tell(str(told))
        return told.exit_code
    finally:
        warnings.showwarning = shown
    return 0


def _unexpected(error: Exception) -> HptuneError:
    """A path that the system refuses (a name too long, a parent that may not be searched), else a defect of ours."""
    if isinstance(error, OSError) and error.filename is not None:
        reason = (error.strerror or str(error)).lower()
        return InputDataError(f"cannot use {error.filename} ({reason})", "check the path and its permissions")
    return HptuneError(
        f"unexpected {type(error).__name__}: {error}", "please report it with the traceback that -v shows"
    )


def _log_as_asked(*, verbose: bool) -> None:
    """Log to standard error, or nowhere there: without a handler Python prints the warnings of every library."""
    if not verbose:
        logging.getLogger().addHandler(logging.NullHandler())
        return
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("hptune").setLevel(logging.DEBUG)


def _tell(error: str) -> None:
    """One line, however many the error has, and nothing in it that could steer a terminal."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in error).split())
    _say(f"error: {line}")


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the files go")
    parser.add_argument("--scale", type=float, default=0.02, help="share of the full data (default 0.02)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default 0)")
    parser.add_argument("--leak", action="store_true", help="let the row order tell about the labels")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.sample(given, _say))


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, metavar="URI", help="the raw files")
    _add_cache(parser)
    parser.add_argument("--features", default="all", help="all, small or a block's name (default all)")
    parser.add_argument("--encoding", default="fraction", help="fraction or indicator (default fraction)")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.features(given, _say))


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the sweep file")
    parser.add_argument("--data", metavar="URI", help="a table or a directory: a path, az://..., hdfs://...")
    parser.add_argument("--test", metavar="URI", help="rows to predict with the winner")
    for role, help_text in _ROLES.items():
        parser.add_argument(f"--{role}", metavar="COL", help=help_text)
    _add_cache(parser)
    parser.add_argument("--estimator", metavar="NAME", help="package.Class or package.module:function")
    parser.add_argument("--scoring", metavar="NAME", help="the scorer that ranks")
    parser.add_argument("--cv", type=int, metavar="N", help="number of folds")
    parser.add_argument("--engine", choices=sorted(ENGINES), help="where fits run")
    parser.add_argument("--out", metavar="URI", help="where results go (default runs/<name>-<time>)")
    parser.add_argument("--deadline", metavar="T", help="stop then, with what is done: seconds, 90s, 30m, 2h")
    parser.add_argument("--trial-timeout", metavar="T", help="give up a fit that takes longer")
    parser.add_argument("--max-failures", type=int, metavar="N", help="stop after so many failed candidates")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="any key of the sweep file, as search_space.max_depth=[3,4]; wins over all else; may be repeated",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the sweep that --out holds")
    parser.add_argument("--extend", action="store_true", help="with --resume: allow a wider search space")
    parser.add_argument("--overwrite", action="store_true", help="replace the sweep that --out holds")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything, make one fit, tell plan, memory and time; write nothing",
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="no progress")
    loudness.add_argument("-v", "--verbose", action="store_true", help="show what is logged, tracebacks too")
    parser.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> None:
    say = (lambda line: None) if arguments.quiet else _say
    config, cache = _config(arguments), arguments.cache or default_cache()
    existing = commands.existing_sweep(
        overwrite=arguments.overwrite, resume=arguments.resume, extend=arguments.extend
    )
    if arguments.dry_run:
        commands.rehearse(config, cache, say, existing=existing)
        return
    commands.sweep(
        config,
        cache,
        say,
        existing=existing,
        again=functools.partial(_resuming, arguments.given),
        quiet=arguments.quiet,
    )


def _resuming(given: Sequence[str], out: str) -> str:
    """The command that goes on with the sweep which the arguments `given` started."""
    words = [word for word in given if len(word) < _SHORTEST_OVERWRITE or not "--overwrite".startswith(word)]
    if not any(word == "--out" or word.startswith("--out=") for word in words):
        words += ["--out", out]
    if "--resume" not in words:
        words.append("--resume")
    return shlex.join([*_program(), *words])


_SHORTEST_OVERWRITE = len("--ov")  # argparse takes it for the whole word


def _program() -> list[str]:
    """What was typed before the arguments."""
    if sys.argv[0].endswith("__main__.py"):
        return ["python", "-m", "hptune"]
    if not sys.argv[0].endswith(".py") or sys.argv[0].endswith("cli.py"):
        return ["hptune"]
    start = ["spark-submit", "..."] if "PYSPARK_GATEWAY_PORT" in os.environ else ["python"]
    return [*start, sys.argv[0]]  # the dots are what only Spark knows


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", metavar="URI", help="az://account/container/prefix, hdfs://..., a path")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the files go")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.fetch_files(given, _say))


def _add_upload(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the files to send")
    parser.add_argument("uri", metavar="URI", help="az://account/container/prefix, hdfs://..., a path")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.upload_files(given, _say))


def _add_cache(parser: argparse.ArgumentParser) -> None:
    help_text = "where matrices and copies of remote files are kept (default ~/.cache/hptune)"
    parser.add_argument("--cache", type=Path, default=None, metavar="DIR", help=help_text)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the --out of a sweep, or a directory of sweeps")
    parser.add_argument("--watch", action="store_true", help="look again until nothing runs any more")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.status(given, _say))


def _add_mlflow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the --out of a sweep")
    parser.add_argument("--tracking-uri", metavar="U", help="the server (default: as in the sweep)")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.mlflow(given, _say))


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the --out of a sweep")
    parser.add_argument(
        "--sort",
        metavar="METRIC",
        help="a metric, the largest first; id, seconds, started (default: best first)",
    )
    statuses = ("ok", "failed", "crashed", "timeout", "stopped", "partial", "not run")
    parser.add_argument("--status", choices=statuses, help="only those with this status")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default table")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.runs(given, _say))


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the --out of a sweep")
    parser.add_argument("run_id", metavar="ID", help="a run's id or number, or best")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.show(given, _say))


def _add_verbose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is logged, tracebacks too")


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the directory of a finished sweep: a path, az://...")
    _add_cache(parser)
    parser.add_argument("--engine", choices=sorted(ENGINES), help="where fits run (default: as in the sweep)")
    _add_verbose(parser)
    parser.set_defaults(run=lambda given: commands.explain(given, _say))


def _config(arguments: argparse.Namespace) -> AnyConfig:
    """The sweep file, then the flags, then ``--set``."""
    raw = load_config(arguments.config) if arguments.config else {}
    refuse_secrets(texts_of(raw), str(arguments.config))
    flags = {name: getattr(arguments, name) for name in (*_FLAGS, *SHORT_KEYS)}
    given = {name: value for name, value in flags.items() if value is not None}
    return parse_config(with_values(raw, given), arguments.overrides)


if __name__ == "__main__":
    sys.exit(main())
