#!/usr/bin/env bash
# What a machine with one GPU can show in under 8 minutes: needs PyTorch, Triton, transformers and
# tts-lang's own dependencies, no network. The figures belong into docs/benchmarks.md, with the card.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/runtime" HF_HUB_OFFLINE=1
python=${PYTHON:-python3}
"$python" benchmarks/draws.py --device cuda --rows 1 32 256 1024 --repeats 15
"$python" benchmarks/gpu.py
