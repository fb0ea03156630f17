#!/usr/bin/env bash
# Sets up what hptune needs, then runs a sweep on Spark.
#   ./submit.sh          a generated sample, its features and a distributed sweep, down to the ranked table
#   ./submit.sh [spark-submit options] jobs/distributed_sweep.py --data DIR --out DIR [--config FILE]
#                        spark-submit with the defaults of spark_defaults.conf
# PYTHON names the interpreter to use (3.10, 3.11 or 3.12; else the first found). SPARK_HOME, where it is set, names the
# Spark that arguments are submitted to. tests/run.sh sources this file for the same set-up.
set -euo pipefail

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VENV=$PROJECT/.venv

say() { echo "hptune: $*" >&2; }

# fail EXIT_CODE WHAT MEND: the one line that every error of hptune is.
fail() {
  say "error: $2: $3"
  exit "$1"
}

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# pins_of VERSION: the pin file for a Python version.
pins_of() {
  case $1 in
    3.10) echo "$PROJECT/constraints/python3.10-spark3.5.txt" ;;
    3.11) echo "$PROJECT/requirements.txt" ;;
    3.12) echo "$PROJECT/constraints/python3.12-spark4.3.txt" ;;
    *) return 1 ;;
  esac
}

# find_python: the interpreter to make .venv with; one without venv is the last resort, for the message it gives.
find_python() {
  local python fallback='' candidates=(python3.11 python3 python3.12 python3.10)
  [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
  for python in "${candidates[@]}"; do
    pins_of "$(python_version "$python")" >/dev/null || continue
    "$python" -c 'import ensurepip, venv' 2>/dev/null && echo "$python" && return
    fallback=${fallback:-$python}
  done
  [[ -z $fallback ]] || fail 8 "$fallback cannot make virtual environments" \
    "install its venv package (Debian and Ubuntu: apt-get install python$(python_version "$fallback")-venv)"
  fail 8 "${PYTHON:-python3} is not Python 3.10, 3.11 or 3.12" "install Python 3.11 or name one by PYTHON=PATH"
}

# inputs FILE...: what an installation depends on; a copy of it is the installation's stamp.
inputs() {
  echo "$PROJECT"
  cat "$@"
}

# pip_install VENV ARGUMENT...
pip_install() {
  local venv=$1
  shift
  "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-build-isolation "$@" ||
    fail 8 "the Python packages could not be installed" "mend what pip says above, then start again"
}

# install_hptune PYTHON VENV PINS: the pinned packages and the project itself, editable.
install_hptune() {
  local python=$1 venv=$2 pins=$3
  local from=("$pins" "$PROJECT/setup.py")
  "$venv/bin/python" -c '' 2>/dev/null && cmp -s <(inputs "${from[@]}") "$venv/installed.txt" && return
  say "installing Python packages into $venv (once; a minute or two)"
  "$python" -m venv --clear "$venv"
  # pyspark is built from source, by pinned tools like everything else; these have to be there first.
  pip_install "$venv" --require-hashes -r <(awk '/^[a-z]/ { tool = /^(packaging|setuptools|wheel)==/ } tool' "$pins")
  pip_install "$venv" --require-hashes -r "$pins"
  pip_install "$venv" --no-deps --editable "$PROJECT"
  inputs "${from[@]}" >"$venv/installed.txt"
}

# java_home JAVA: its home, if it is version 17 or later and has the module that Spark 4 loads (small runtimes lack it).
java_home() {
  local settings version
  settings=$("$1" --add-modules jdk.incubator.vector -XshowSettings:properties -version 2>&1) || return 1
  version=$(sed -n 's/^ *java\.specification\.version = //p' <<<"$settings")
  ((${version%%.*} >= 17)) && sed -n 's/^ *java\.home = //p' <<<"$settings"
}

find_java() {
  local java
  for java in "${JAVA_HOME:-}/bin/java" "$(command -v java)" /usr/lib/jvm/*/bin/java /opt/java/*/bin/java \
    /Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java "$HOME"/.sdkman/candidates/java/*/bin/java; do
    [[ -x $java ]] && java_home "$java" && return
  done
  return 1
}

# as_root COMMAND...: only where that asks for no password.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

install_java() {
  command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
  say "installing Java (once)"
  local log version
  for version in 17 21; do # what Debian and Ubuntu have differs by release; Spark runs on both
    log=$({ ((version > 17)) || as_root apt-get update -qq; } 2>&1 && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "openjdk-$version-jre-headless" 2>&1) && return
  done
  echo "$log" >&2
  return 1
}

need_java() {
  JAVA_HOME=$(find_java || { install_java && find_java; }) ||
    fail 8 "no Java 17 or later was found" \
      "install one (Debian and Ubuntu: apt-get install openjdk-17-jre-headless, or -21-) or set JAVA_HOME"
  export JAVA_HOME
}

set_up() {
  local python
  python=$(find_python)
  need_java
  install_hptune "$python" "$VENV" "$(pins_of "$(python_version "$python")")"
}

# write_defaults FILE: our defaults, then those of the Spark installation in use, which know its cluster and win.
write_defaults() {
  local installed=${SPARK_CONF_DIR:-${SPARK_HOME:-}/conf}/spark-defaults.conf
  mkdir -p "$(dirname "$1")"
  cat "$PROJECT/spark_defaults.conf" >"$1"
  [[ ! -f $installed ]] || cat "$installed" >>"$1"
}

# master_of DEFAULTS ARGUMENT...: the master that spark-submit will use.
master_of() {
  local master word previous=''
  master=$(awk -F '[ \t=]+' '$1 == "spark.master" { last = $2 } END { print last }' "$1")
  for word in "${@:2}"; do
    case $previous:$word in
      --master:*) master=$word ;;
      *:--master=* | --conf:spark.master=* | -c:spark.master=*) master=${word#*=} ;;
    esac
    previous=$word
  done
  echo "$master"
}

# spark_of VENV: the home of its Spark. Spark's own search for it does not survive a space in a directory's name.
spark_of() {
  echo "$1"/lib/python3*/site-packages/pyspark
}

# submit ARGUMENT...: becomes spark-submit.
submit() {
  local defaults=$PROJECT/.cache/spark-defaults.conf
  write_defaults "$defaults"
  export SPARK_HOME=${SPARK_HOME:-$(spark_of "$VENV")}
  export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$VENV/bin/python}
  export PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$VENV/bin/python}
  export SPARK_SUBMIT_OPTS="-Dlog4j2.configurationFile=\"$PROJECT/configs/log4j2.properties\" ${SPARK_SUBMIT_OPTS:-}"
  # On one machine nothing needs to listen beyond loopback, nor the host's name to resolve.
  [[ $(master_of "$defaults" "$@") != local* ]] || export SPARK_LOCAL_IP=127.0.0.1
  exec "$SPARK_HOME/bin/spark-submit" --properties-file "$defaults" "$@"
}

# demo: the sample and its features are kept for the next time, the results are those of the last run.
demo() {
  cd "$PROJECT"
  unset SPARK_HOME SPARK_CONF_DIR # the demo is about the Spark in .venv
  if [[ ! -d data/sample ]]; then
    say "generating a sample in data/sample"
    rm -rf data/sample.partial
    "$VENV/bin/hptune" sample data/sample.partial
    mv data/sample.partial data/sample
  fi
  "$VENV/bin/hptune" features --data data/sample --encoding indicator # as configs/demo.yaml has it
  # A driver that lives for seconds: an optimising compiler would only take its cores from the fits.
  export SPARK_SUBMIT_OPTS="-XX:TieredStopAtLevel=1 ${SPARK_SUBMIT_OPTS:-}"
  submit jobs/distributed_sweep.py --config configs/demo.yaml --data data/sample --out runs/demo --overwrite
}

main() {
  set_up
  if (($#)); then submit "$@"; else demo; fi
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
