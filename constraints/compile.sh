#!/usr/bin/env bash
# Resolves every pin file of the project again, with the newest releases that fit together.
#   constraints/compile.sh            (needs uv)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# resolve OUTPUT [INPUT | OPTION]...: pins the inputs with hashes of all their files: one pin file for every platform.
resolve() {
  local output=$1
  shift
  uv pip compile --quiet --upgrade --generate-hashes --no-annotate --no-strip-markers \
    --custom-compile-command constraints/compile.sh --output-file "$output" "$@"
}

# resolve_pair OUTPUT PYTHON CONSTRAINT...: what the commands install on that Python, with that line of Spark.
resolve_pair() {
  resolve "$1" setup.py constraints/requirements.in --extra spark --extra azure --extra bayesian --extra mlflow --python-version "$2" --python-platform x86_64-manylinux_2_28 \
    --constraints <(printf '%s\n' "${@:3}")
  xgboost_for_macos "$1" "$2"
}

# xgboost_for_macos PINS PYTHON: adds xgboost itself, in the version of xgboost-cpu, which has no wheel for macOS.
xgboost_for_macos() {
  local version
  version=$(sed -n 's/^xgboost-cpu==\([^ ]*\) .*/\1/p' "$1")
  echo "xgboost==$version ; sys_platform == 'darwin'" |
    uv pip compile --quiet --generate-hashes --no-annotate --no-strip-markers --no-deps --no-header \
      --python-version "$2" --python-platform aarch64-apple-darwin - >>"$1"
}

resolve_pair requirements.txt 3.11 'pyspark==4.1.*'
resolve_pair constraints/python3.10-spark3.5.txt 3.10 'pyspark==3.5.*'
resolve_pair constraints/python3.11-spark3.5.txt 3.11 'pyspark==3.5.*'
# Spark 4.3 warns at every use of pandas 3.
resolve_pair constraints/python3.12-spark4.3.txt 3.12 'pyspark==4.3.*' 'pandas<3'
# pinned_for MARKER PINS: the versions of a pin file, for some Pythons only.
pinned_for() { sed -n "s/^\([a-z0-9._-]*==[^ ]*\) .*/\1 ; $1/p" "$2"; }

# One file for the tests on all Pythons; where it meets the requirements it must agree with them.
resolve tests/requirements.txt tests/requirements.in --universal --python-version 3.10 --constraints <(
  pinned_for "python_version >= '3.11'" requirements.txt
  pinned_for "python_version < '3.11'" constraints/python3.10-spark3.5.txt
)
