#!/bin/sh
# Does dvc.lock belong to this dvc.yaml, these parameters and this code? Needs no data. A stale lock
# shows as a stage to run, or as an error where that stage's input is not there.
set -eu
export DVC_NO_ANALYTICS=1
said=$(dvc repro --dry --allow-missing 2>&1) || {
    echo "$said"
    echo "dvc.lock is stale: run dvc repro and commit dvc.lock" >&2
    exit 1
}
case $said in
*"Running stage"*)
    echo "$said"
    echo "dvc.lock is stale: run dvc repro and commit dvc.lock" >&2
    exit 1
    ;;
esac
echo "dvc.lock is fresh"
