#!/usr/bin/env bash
# peers.sh: makes the virtual environment in which the peers live ($HMTNET_PEERS, default ~/.cache/hmtnet/peers), outside
# the repository; prints their versions to standard error and its Python to standard output. Installs nothing when all is there.
set -euo pipefail

folder=${HMTNET_PEERS:-${HOME:-/root}/.cache/hmtnet/peers}
python=$folder/bin/python
if ! "$python" -c 'import torch, onnxruntime, onnx, numpy, ncnn' 2>/dev/null; then
    echo "peers: installing torch, onnxruntime, onnx, numpy and ncnn into $folder (some gigabytes)" >&2
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check torch onnxruntime onnx numpy ncnn >&2
fi
"$python" -c '
import sys, ncnn, numpy, onnx, onnxruntime, torch
for peer in torch, onnxruntime, onnx, numpy, ncnn:
    print("peers:", peer.__name__, peer.__version__, file=sys.stderr)'
echo "$python"
