#!/bin/sh
# Prints the first Python that can make the virtual environment: 3.11 or newer, with venv and ensurepip.
# Fails with one line that says what to install.
old=
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
    old=$python
done
if [ -n "$old" ]; then
    echo "set-up: $old has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2
else
    echo "set-up: no Python 3.11 or newer found; install one (Debian 12, Ubuntu 24.04: apt-get install python3-venv)," \
        "or name it: make PYTHON=/path/to/python3" >&2
fi
exit 1
