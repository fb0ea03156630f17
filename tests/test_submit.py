"""submit.sh and its Spark defaults: which master, whose defaults, which Python, what an error looks like."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEFAULTS = ROOT / "spark_defaults.conf"


def in_submit(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run bash commands after sourcing submit.sh, which then only defines its functions."""
    return subprocess.run(
        ["bash", "-c", f"source ./submit.sh; {script}"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def defaults() -> dict[str, str]:
    lines = (line.strip() for line in DEFAULTS.read_text().splitlines())
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {key: value for key, value in pairs}


@pytest.mark.parametrize(
    ("arguments", "master"),
    [
        ("jobs/a.py --data x", "local[*,4]"),
        ("--master yarn jobs/a.py", "yarn"),
        ("--master=spark://host:7077 jobs/a.py", "spark://host:7077"),
        ("--conf spark.master=yarn jobs/a.py", "yarn"),
        ("--verbose --name n --master local[2,4] jobs/a.py --out o", "local[2,4]"),
        ("--py-files lib.py --conf spark.x=--master --master yarn jobs/a.py", "yarn"),
    ],
)
def test_the_master_is_the_one_that_spark_submit_will_use(arguments: str, master: str) -> None:
    quoted = " ".join(f"'{word}'" for word in arguments.split())
    assert in_submit(f"master_of spark_defaults.conf {quoted}").stdout.strip() == master


def test_the_defaults_of_an_installed_spark_win(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/spark-defaults.conf").write_text("spark.master yarn\nspark.driver.memory=3g\n")
    script = f"write_defaults {tmp_path}/merged; master_of {tmp_path}/merged jobs/a.py"
    assert in_submit(script, SPARK_HOME=str(tmp_path), SPARK_CONF_DIR="").stdout.strip() == "yarn"
    assert (tmp_path / "merged").read_text().startswith(DEFAULTS.read_text())


def test_the_project_may_lie_where_names_have_spaces(tmp_path: Path) -> None:
    project = tmp_path / "Erika's own, ä 5 %"
    (project / "configs").mkdir(parents=True)
    for name in ("submit.sh", "spark_defaults.conf", "configs/log4j2.properties"):
        shutil.copy(ROOT / name, project / name)
    (project / ".venv").symlink_to(sys.prefix)
    script = "source ./submit.sh; unset SPARK_HOME PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON; submit --version"
    done = subprocess.run(["bash", "-c", script], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"version {version('pyspark')}" in done.stderr


@pytest.mark.parametrize(
    ("script", "environment", "expected"),
    [
        ("set_up", {"PYTHON": "/bin/false"}, r"/bin/false is not Python 3\.10, 3\.11 or 3\.12: install .+"),
        (
            "find_java() { return 1; }; install_java() { return 1; }; need_java",
            {},
            r"no Java 17 or later was found: install one .+",
        ),
        (
            "pins_of() { echo; }; python_version() { echo 3.11; }; find_python",
            {"PYTHON": "/bin/false"},
            r"/bin/false cannot make virtual environments: .+apt-get install python3\.11-venv\)",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(script: str, environment: dict[str, str], expected: str) -> None:
    done = in_submit(script, **environment)
    assert done.returncode == 8
    assert re.fullmatch(f"hptune: error: {expected}\n", done.stderr)


@pytest.mark.parametrize(
    ("known", "asked", "code"), [("17", [17], 0), ("21", [17, 21], 0), ("25", [17, 21], 1)]
)
def test_java_is_installed_in_the_version_that_the_system_has(
    known: str, asked: list[int], code: int, tmp_path: Path
) -> None:
    installer = tmp_path / "apt-get"
    installer.write_text(
        f'#!/bin/sh\n[ "$1" = update ] && exit\necho "$*" >> {tmp_path}/asked\n'
        f"case $* in *openjdk-{known}-jre-headless*) ;; *) echo no such package; exit 100 ;; esac\n"
    )
    installer.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = in_submit('as_root() { "$@"; }; install_java', PATH=path)
    assert done.returncode == code
    assert ("no such package" in done.stderr) == bool(code)
    packages = re.findall(r"openjdk-(\d+)-", (tmp_path / "asked").read_text())
    assert [int(version) for version in packages] == asked


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12"])
def test_every_supported_python_has_pins_for_all_that_is_required(version: str) -> None:
    pins = Path(in_submit(f"pins_of {version}").stdout.strip())
    lines = re.findall(r"^([a-z0-9-]+)==\S+(.*?) \\$", pins.read_text(), flags=re.MULTILINE)
    where = {name: marker.strip(" ;") for name, marker in lines}
    assert {*required(), "pyspark", "setuptools", "wheel", "xgboost-cpu"} <= set(where)
    assert where["xgboost-cpu"] == "sys_platform != 'darwin'"
    assert where["xgboost"] == "sys_platform == 'darwin'"  # elsewhere it has 350 MB of GPU libraries


def required() -> set[str]:
    """The names in setup.py's install_requires."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    keywords = (node for node in ast.walk(tree) if isinstance(node, ast.keyword))
    (lines,) = (ast.literal_eval(k.value) for k in keywords if k.arg == "install_requires")
    return {re.split("[^a-z0-9-]", line)[0] for line in lines}


PINS = [
    "requirements.txt",
    "tests/requirements.txt",
    *(f"constraints/{p.name}" for p in ROOT.glob("constraints/*.txt")),
]


@pytest.mark.parametrize("pins", PINS)
def test_every_pin_has_hashes(pins: str) -> None:
    text = (ROOT / pins).read_text()
    blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n", "", text).strip())
    assert blocks
    assert all(re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", block, re.DOTALL) for block in blocks)


@pytest.mark.parametrize(
    "secret",
    [
        "fs.azure.account.key.store.blob.core.windows.net",
        "fs.azure.sas.container.store.blob.core.windows.net",
        "spark.executorEnv.AZURE_STORAGE_KEY",
        "spark.executorEnv.AZURE_STORAGE_ACCOUNT_KEY",
        "spark.executorEnv.AZURE_STORAGE_SAS_TOKEN",
        "spark.executorEnv.AZURE_STORAGE_CONNECTION_STRING",
        "spark.executorEnv.AZURE_CLIENT_SECRET",
        "spark.authenticate.secret",
        "spark.hadoop.fs.s3a.access.key",
        "https://store.blob.core.windows.net/data?sv=2022-11-02&sig=abc%3D",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YWJj",
    ],
)
def test_secrets_are_redacted(secret: str) -> None:
    assert re.search(defaults()["spark.redaction.regex"], secret)


@pytest.mark.parametrize(
    "harmless", [*defaults(), "spark.jars", "/data/kansas.csv", "spark.sql.shuffle.partitions"]
)
def test_what_is_no_secret_stays_readable(harmless: str) -> None:
    assert not re.search(defaults()["spark.redaction.regex"], harmless)


KNOWN = """
import json, sys
from pyspark import SparkConf, SparkContext
context = SparkContext(conf=SparkConf().setMaster("local[1]").set("spark.ui.enabled", "false"))
entries = context._jvm.org.apache.spark.internal.config.ConfigEntry
print(json.dumps([key for key in sys.argv[1:] if entries.findEntry(key) is None]))
"""


@pytest.mark.spark
def test_spark_knows_every_default() -> None:
    keys = [key for key in defaults() if not key.startswith("spark.executorEnv.")]
    done = subprocess.run([sys.executable, "-c", KNOWN, *keys], capture_output=True, text=True, check=True)
    # These two are older than Spark's list of its settings.
    assert json.loads(done.stdout.splitlines()[-1]) == ["spark.master", "spark.app.name"]
