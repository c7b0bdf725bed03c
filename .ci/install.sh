#!/bin/sh
# Make the environment: a CPU build of torch where no GPU is seen, then everything else, all pinned.
# VENV, PYTHON and TORCH (auto, cpu, cuda) come from the Makefile.
set -eu
venv=${VENV:-.venv}
kind=${TORCH:-auto}

if [ "$kind" = auto ]; then
    if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then kind=cuda; else kind=cpu; fi
fi
case $kind in cpu | cuda) ;; *) echo "TORCH=$kind: expected auto, cpu or cuda" >&2; exit 2 ;; esac

"${PYTHON:-python3}" -c 'import sys; v = sys.version_info[:2]; sys.exit(
    0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}: set PYTHON=")'
"${PYTHON:-python3}" -m venv "$venv"
pip="$venv/bin/python -m pip --disable-pip-version-check"

# What pip would take of its own accord: on Linux the default registry's torch is a CUDA build of
# several GB, other sources may offer a CPU build. Only where the two differ is the choice forced.
torch=$(grep '^torch==' constraints.txt)
offered=$($pip install --quiet --dry-run --no-deps --ignore-installed --report - "$torch" | "$venv/bin/python" -c '
import json, sys
metadata = json.load(sys.stdin)["install"][0]["metadata"]
needs = " ".join(metadata.get("requires_dist", []))
print("cuda" if "nvidia-" in needs or "cuda-" in needs else "cpu")')
if [ "$kind" = cpu ] && [ "$offered" = cuda ]; then
    $pip install --quiet uv
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --torch-backend cpu "$torch"
fi
echo "installing with torch for $kind into $venv"
$pip install --quiet -c constraints.txt -e '.[build,demo,test]' -e distributions/spfem-data-pipeline

# The one thing that pip cannot bring: OpenCV's wheel wants two system libraries.
"$venv/bin/python" -c 'import cv2' || {
    echo "OpenCV does not load; on Debian or Ubuntu: apt-get install libgl1 libglib2.0-0" >&2
    exit 1
}

# A torchvision that was built for another torch cannot be imported as it is (see torchvision_ops.py).
"$venv/bin/python" -c 'import torchvision' 2>/dev/null || {
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp .ci/torchvision_ops.py "$site/_torchvision_ops.py"
    echo 'import _torchvision_ops' >"$site/_torchvision_ops.pth"
    "$venv/bin/python" -c 'import torchvision, open_clip'
}
