#!/bin/sh
# Says whether all pictures of a batch are there as they were written, and makes one manifest of those of its parts:
#     Tools/slurm/collect.sh pictures
# The exit code is 1 where something is missing.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 64
fi
"${SD_ONNX:-sd-onnx}" batch status "$1"
"${SD_ONNX:-sd-onnx}" batch verify "$1" --manifest "$1/manifest.jsonl"
