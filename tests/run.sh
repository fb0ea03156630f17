#!/usr/bin/env bash
# Makes the same set-up as submit.sh, adds what the tests need and runs the test suite.
#   ./tests/run.sh [--all | --chaos] [pytest arguments]
# Runs in four processes, each with a file or directory at a time: Spark often leaves a core idle.
# --all adds the slow tests, in one process, and more examples of each law; --chaos runs only the faults of
# docs/reliability.md, each as often as is told there.
set -euo pipefail
# shellcheck source=submit.sh
source "$(dirname "${BASH_SOURCE[0]}")/../submit.sh"

# install_test_tools VENV
install_test_tools() {
  local pins=$PROJECT/tests/requirements.txt
  cmp -s <(inputs "$pins") "$1/tests-installed.txt" && return
  say "installing the test tools"
  pip_install "$1" --require-hashes -r "$pins"
  inputs "$pins" >"$1/tests-installed.txt"
}

# install_emulator VENV: Azurite, which the tests of storage would otherwise install when they begin.
install_emulator() {
  (cd "$PROJECT" && "$1/bin/python" -c "from tests.storage.azurite import installed; installed()") 2>/dev/null ||
    say "the storage emulator could not be installed: its tests will tell why"
}

# archive_classes VENV: Spark's JVMs start in two thirds of the time from an archive of the classes that they load.
archive_classes() {
  local archive=$1/spark.jsa # a new Spark makes a new environment
  [[ ! -f $archive ]] || return 0
  say "archiving the classes of Spark (once; most of a minute)"
  env -u SPARK_CONF_DIR SPARK_HOME="$(spark_of "$1")" SPARK_LOCAL_IP=127.0.0.1 \
    PYSPARK_PYTHON="$1/bin/python" PYSPARK_DRIVER_PYTHON="$1/bin/python" \
    SPARK_SUBMIT_OPTS="-XX:ArchiveClassesAtExit=\"$archive\" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable" \
    "$1/bin/spark-submit" --conf spark.log.level=OFF "$PROJECT/tests/loaded_classes.py" >/dev/null 2>&1 ||
    say "that failed: the tests take longer"
}

# prepare_synapseml: makes the environment of its test, unless HPTUNE_SYNAPSEML_PYTHON names one: it needs Spark 3.5.
prepare_synapseml() {
  local venv=$PROJECT/.cache/synapseml
  [[ -z ${HPTUNE_SYNAPSEML_PYTHON:-} ]] || return 0
  install_hptune "$VENV/bin/python" "$venv" "$PROJECT/constraints/python3.11-spark3.5.txt"
  export HPTUNE_SYNAPSEML_PYTHON=$venv/bin/python
}

# run_tests VENV ARGUMENT...
run_tests() {
  local python=$1/bin/python
  local at_once=(--numprocesses 4 --dist loadfile --no-loadscope-reorder)
  local suite=(-m "not slow" --hypothesis-profile few)
  shift
  case ${1:-} in
    --all) suite=() at_once=() && shift ;;
    --chaos) suite=(tests/chaos) && shift ;;
  esac
  export PYSPARK_PYTHON=$python PYSPARK_DRIVER_PYTHON=$python SPARK_LOCAL_IP=127.0.0.1
  export OMP_WAIT_POLICY=PASSIVE # idle threads that spin take the cores of the other processes
  unset SPARK_HOME SPARK_CONF_DIR
  unset PYTHONDONTWRITEBYTECODE # hundreds of processes would compile the package anew
  cd "$PROJECT"
  "$python" -m pytest ${at_once[@]+"${at_once[@]}"} ${suite[@]+"${suite[@]}"} "$@"
}

main() {
  set_up
  install_test_tools "$VENV"
  install_emulator "$VENV"
  archive_classes "$VENV"
  [[ ${1:-} != --all ]] || prepare_synapseml
  run_tests "$VENV" "$@"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
