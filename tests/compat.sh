#!/usr/bin/env bash
# Tries every supported pair of Python and Spark.
#   ./tests/compat.sh [--all] [pytest arguments]
# A pair whose Python is on the PATH gets a virtual environment under .cache/compat and runs the tests with it; for
# any other pip resolves the pins: every one has a wheel for that Python (pyspark, source only, apart).
set -euo pipefail
# shellcheck source=tests/run.sh
source "$(dirname "${BASH_SOURCE[0]}")/run.sh"

PAIRS=(
  "3.10 constraints/python3.10-spark3.5.txt"
  "3.11 constraints/python3.11-spark3.5.txt"
  "3.11 requirements.txt"
  "3.12 constraints/python3.12-spark4.3.txt"
)

# interpreter VERSION: a Python of that version that can make virtual environments.
interpreter() {
  local python
  for python in "python$1" python3 python; do
    [[ $(python_version "$python") == "$1" ]] && "$python" -c 'import ensurepip, venv' 2>/dev/null &&
      echo "$python" && return
  done
  return 1
}

# spark_of PINS
spark_of() { sed -n 's/^pyspark==\([0-9.]*\).*/\1/p' "$PROJECT/$1"; }

# resolve VERSION PINS: whether pip finds every pin, and nothing that contradicts them, for a Python that is not here.
# (Downloading: pip's dry run compares with the Python it runs on.)
resolve() {
  local wheels=$PROJECT/.cache/compat/wheels code=0
  "$VENV/bin/python" -m pip download --quiet --disable-pip-version-check --dest "$wheels" --python-version "$1" \
    --only-binary :all: -r <(sed -n 's/^\([a-z0-9-]*==[^ ]*\).*/\1/p' "$PROJECT/$2" | grep -v '^pyspark==') || code=$?
  rm -rf "$wheels"
  return "$code"
}

# try_pair VERSION PINS [PYTEST ARGUMENT]...
try_pair() {
  local version=$1 pins=$2 python venv
  venv=$PROJECT/.cache/compat/python$version-spark$(spark_of "$pins")
  shift 2
  if ! python=$(interpreter "$version"); then
    resolve "$version" "$pins" && RESULT="resolved (no Python $version here)"
    return
  fi
  install_hptune "$python" "$venv" "$PROJECT/$pins"
  install_test_tools "$venv"
  (run_tests "$venv" "$@") && RESULT="tests passed"
}

main() {
  local pair results=() failed=0
  set_up
  for pair in "${PAIRS[@]}"; do
    RESULT=FAILED
    # shellcheck disable=SC2086  # a pair is two words
    try_pair $pair "$@" || failed=1
    results+=("Python ${pair%% *}, Spark $(spark_of "${pair#* }"): $RESULT")
  done
  printf '%s\n' "${results[@]}"
  return "$failed"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
