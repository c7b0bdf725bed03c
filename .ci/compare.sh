#!/bin/sh
# What did a change do to the data? Markdown for a pull request, against the revision BASE ($1).
#   sh .ci/compare.sh BASE [LINK] > difference.md      LINK: where the report can be seen
set -eu
export DVC_NO_ANALYTICS=1
base=${1:?the revision to compare with, such as origin/main}
link=${2:-}
command -v dvc >/dev/null 2>&1 || {
    echo "dvc is not on PATH: make setup, then export PATH=\"\$PWD/.venv/bin:\$PATH\"" >&2
    exit 2
}
git rev-parse --quiet --verify "$base^{commit}" >/dev/null || {
    echo "$base is no revision here: fetch it (a shallow clone has only the last one)" >&2
    exit 2
}
part() { # title, command...
    title=$1
    shift
    said=$("$@") || {
        echo "$* failed" >&2
        exit 1
    }
    echo "### $title"
    echo
    if [ -n "$said" ]; then echo "$said"; else echo "no difference"; fi
    echo
}
echo "<!-- spfem-data -->"
echo "## What this change does to the data"
echo
echo "Against \`$(git rev-parse --short "$base")\`; made by \`.ci/compare.sh\`."
[ -z "$link" ] || echo "The report: $link"
echo
part "Parameters" dvc params diff "$base" --md
metrics() { dvc metrics diff "$base" --json | python "$(dirname "$0")/metrics.py"; }
part "Metrics" metrics
# Rows, decisions and values against the other revision's shards, where DVC's cache still has them
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
for manifest in data/*/shards/manifest.json; do
    [ -f "$manifest" ] || continue
    shards=$(dirname "$manifest")
    echo "### Data in \`$shards\`"
    echo
    if dvc get --quiet --rev "$base" . "$shards" -o "$old/$shards" 2>/dev/null; then
        echo '```'
        spfem-data diff "$old/$shards" "$shards"
        echo '```'
    else
        echo "not compared: this cache does not hold the shards of $base"
    fi
    echo
done
