#!/usr/bin/env bash
# Install one lock file into .venv, made if it is missing. What fails is said in one line.
set -u
python=$1 lock=$2

fail() { echo "erro / error: $1" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "$python is missing or older than Python 3.11; try: make PYTHON=python3.11 ..."

if [ ! -x .venv/bin/python ]; then
  echo "→ creating .venv with $("$python" --version)"
  "$python" -m venv .venv >/dev/null || fail "could not create .venv (on Debian: apt install python3-venv)"
fi

echo "→ installing $lock (a few minutes the first time)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" \
     >"$log" 2>&1; then
  cause=$(grep -m1 -E '^ *ERROR' "$log" || tail -n 1 "$log")
  fail "installing $lock failed; check the network and run it again. pip said: ${cause:0:300}"
fi
