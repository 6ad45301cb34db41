#!/usr/bin/env bash
# peers.sh: makes the virtual environment in which the peers live ($HMTNET_PEERS, default ~/.cache/hmtnet/peers), outside
# the repository, and prints its Python. Does nothing when all is there.
set -euo pipefail

folder=${HMTNET_PEERS:-${HOME:-/root}/.cache/hmtnet/peers}
if ! "$folder/bin/python" -c 'import torch, onnxruntime, onnx, numpy' 2>/dev/null; then
    echo "peers: installing torch, onnxruntime and onnx into $folder (some gigabytes)" >&2
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check torch onnxruntime onnx numpy >&2
fi
echo "$folder/bin/python"
