#!/usr/bin/env bash
# Install one lock file into .venv, created if it is missing. A failure is reported in one line.
set -u -o pipefail
python=$1 lock=$2

fail() { echo "erro / error: $1" >&2; exit 1; }

# Print how many of the lock's packages pip has collected so far, parsed from pip's output.
progress() {
  local last=$'\n'
  [ -t 1 ] && last=$'\r'
  awk -v total="$(grep -c '^[a-zA-Z0-9].*==' "$lock")" -v last="$last" '
    /^Collecting / && (++n % 10 == 0 || last == "\r") { printf "  %d/%d%s", n, total, last; fflush() }
    /^Installing collected/ { printf "  %d, installing%s", n, last; fflush() }
    END { if (n && last == "\r") print "" }'
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "$python is missing or older than Python 3.11; try: make PYTHON=python3.11 ..."
[ "$(uname -sm)" = "Darwin x86_64" ] &&
  echo "→ macOS on Intel: cryptography has no wheel there and is built, which takes Rust (https://rustup.rs)"

if [ ! -x .venv/bin/python ]; then
  echo "→ creating .venv with $("$python" --version)"
  "$python" -m venv .venv >/dev/null || fail "could not create .venv (on Debian: apt install python3-venv)"
fi

echo "→ installing $lock (a few minutes the first time)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# --no-deps: the lock has all dependencies, except those that pyproject.toml excludes by override.
if ! .venv/bin/python -m pip install --progress-bar off --disable-pip-version-check --no-deps --require-hashes \
     -r "$lock" 2>&1 | tee "$log" | progress; then
  cause=$(grep -m1 -E '^ *ERROR' "$log" || tail -n 1 "$log")
  fail "installing $lock failed; check the network and run it again. pip said: ${cause:0:300}"
fi
