#!/bin/sh
# The CUDA check on a machine that has Python 3.11 or newer with torch and transformers, and no network:
#
#     sh benchmarks/cuda_check.sh WHEELS OUT [options of cuda_check]
#
# WHEELS is a folder with the wheels that the machine lacks (benchmarks/README.md says how to fill it), OUT a folder that
# gets cuda_check.jsonl. Nothing is installed into the machine's own environment.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: sh benchmarks/cuda_check.sh WHEELS OUT [options of cuda_check]" >&2
    exit 2
fi
wheels=$1
out=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
python3 -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$wheels"/*.whl
mkdir -p "$out"
PYTHONPATH="$site" python3 "$root/benchmarks/cuda_check" --out "$out/cuda_check.jsonl" "$@"
