#!/usr/bin/env bash
# Make the environment that stxlib runs in, unless it is there already, and link .venv to it.
#
# It holds dependencies only, never stxlib, so that all clones with the same requirements share one, in
# ${XDG_CACHE_HOME:-~/.cache}/stxlib/<hash of requirements, constraints and Python>. $PYTHON picks the interpreter (3.11 to 3.13).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
lm_limit=300 # seconds that each package of the extra `lm` may take to build

die() {
  printf 'setup.sh: %s\n' "$*" >&2
  exit 2
}

find_python() { # print the interpreter to build with
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python 3.11, 3.12 or 3.13 among: ${PYTHON:-python3 python3.13 python3.12 python3.11}; install one, or set PYTHON to its path"
}

# Print the requirements of setup.py: of its core and its extra `all`, or of the extra $2. Needs no setuptools.
requirements() {
  "$1" - "$root/setup.py" "${2-}" <<'PYTHON'
import runpy, sys, types
found = {}
sys.modules["setuptools"] = types.SimpleNamespace(setup=found.update, find_namespace_packages=lambda **_: [])
runpy.run_path(sys.argv[1])
extras = found["extras_require"]
print("\n".join(extras[sys.argv[2]] if sys.argv[2] else found["install_requires"] + extras["all"]))
PYTHON
}

key() { # print what tells environments apart
  { requirements "$1" && requirements "$1" lm && cat "$root/tools/constraints.txt"; } | "$1" -c '
import hashlib, platform, sys
text = sys.stdin.read() + platform.python_version() + sys.base_prefix + platform.machine()
print(hashlib.sha256(text.encode()).hexdigest()[:12])'
}

limited() { # run a command for at most lm_limit seconds
  "$1" -c 'import subprocess, sys; sys.exit(subprocess.run(sys.argv[2:], timeout=int(sys.argv[1])).returncode)' "$lm_limit" "$@"
}

build() { # python environment: into its final place, because scripts in it hold its path; `complete` is written last
  local python=$1 env=$2 log=$2.log status=0
  echo "making the environment $env with $("$python" --version): about 6 GB, some minutes; log: $log"
  rm -rf "$env"
  requirements "$python" >"$env.requirements.txt"
  {
    "$python" -m venv "$env" &&
      "$env/bin/python" -m pip install --disable-pip-version-check --progress-bar off -c "$root/tools/constraints.txt" \
        -r "$env.requirements.txt" &&
      "$env/bin/python" -c 'import torch, torchaudio'
  } >"$log" 2>&1 || status=$?
  if ((status > 0)); then
    tail -n 20 "$log" >&2
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then echo "(no venv in this Python: apt-get install python3-venv)" >&2; fi
    die "the environment could not be made; the whole log: $log"
  fi
  requirements "$python" lm | while IFS= read -r package; do
    if limited "$env/bin/python" -m pip install --disable-pip-version-check --progress-bar off -c "$root/tools/constraints.txt" \
      "$package" >>"$log" 2>&1 </dev/null; then
      echo "optional part lm: $package is on"
    else
      echo "optional part lm: $package is off: it did not build; nothing needs it; the reason: $log"
    fi
  done
  touch "$env/complete"
}

lock() { # one builder at a time; a lock whose owner is gone is taken over
  local owner
  until mkdir "$1" 2>/dev/null; do
    owner=$(cat "$1/pid" 2>/dev/null || true)
    if [[ -n $owner ]] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$1" && continue; fi
    sleep 2
  done
  echo $$ >"$1/pid"
}

python=$(find_python)
env=${XDG_CACHE_HOME:-$HOME/.cache}/stxlib/$(key "$python")
if [[ -e $root/.venv && ! -L $root/.venv ]]; then die "$root/.venv is no link of mine; move it away"; fi
if [[ ! -e $env/complete ]] || ! "$env/bin/python" -c '' 2>/dev/null; then
  mkdir -p "$(dirname "$env")"
  lock "$env.lock"
  trap 'rm -rf "$env.lock"' EXIT
  if [[ ! -e $env/complete ]] || ! "$env/bin/python" -c '' 2>/dev/null; then build "$python" "$env"; fi
fi
if [[ $(readlink "$root/.venv" || true) != "$env" ]]; then
  ln -sfn "$env" "$root/.venv"
  echo "environment: $env"
fi
