#!/bin/sh
# Are there known holes in what is pinned? Every version is pinned, so nothing is installed or resolved.
set -eu
python -m pip install --quiet pip-audit==2.9.0
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' constraints.txt > "$pins"
pip-audit --requirement "$pins" --no-deps --disable-pip --progress-spinner off
