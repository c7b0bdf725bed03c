#!/bin/sh
# Does dvc.lock belong to this dvc.yaml, these parameters and this code? Needs no data. A stale lock
# shows as a stage to run, or as an error where that stage's input is not there.
# Exit: 0 fresh, 1 stale, 2 cannot be asked here.
set -eu
export DVC_NO_ANALYTICS=1
for tool in git dvc; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "$tool is not on PATH; for dvc: make setup, then export PATH=\"\$PWD/.venv/bin:\$PATH\"" >&2
        exit 2
    }
done
[ -f dvc.lock ] || {
    echo "no dvc.lock here: run this in the root of a checkout (after the first dvc repro)" >&2
    exit 2
}
stale() {
    echo "$said"
    echo "dvc.lock is stale: run make run, then commit dvc.lock and the metrics" >&2
    exit 1
}
said=$(dvc repro --dry --allow-missing 2>&1) || case $said in
*"configuration error"* | *"nable to acquire lock"* | *"not inside of a DVC repository"*)
    echo "$said" >&2
    echo "DVC cannot say whether dvc.lock is fresh: fix what it reports above, then ask again" >&2
    exit 2
    ;;
*) stale ;;
esac
case $said in
*"Running stage"*) stale ;;
esac
echo "dvc.lock is fresh"
