#!/bin/sh
# Fetches OpenAI's 49,408-entry CLIP vocabulary and writes it as a tokenizer folder, for the tests that need it.
# Usage: Tools/fetch-clip-vocabulary.sh   (PYTHON names another python3 with pip)
# The folder is ${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}/clip-vocabulary; nothing is done if it is complete.
set -eu

PYTHON=${PYTHON:-python3}
FOLDER=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}/clip-vocabulary
FILES="vocab.json merges.txt tokenizer_config.json"

complete=yes
for file in $FILES; do
    [ -s "$FOLDER/$file" ] || complete=no
done
if [ $complete = yes ]; then
    echo "$FOLDER is complete."
    exit 0
fi

if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
    echo "$PYTHON has no pip; install it (on Debian: apt-get install python3-pip) or set PYTHON." >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/requirements.txt" <<END
open_clip_torch==3.3.0 --hash=sha256:c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce
END
"$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work"

mkdir -p "$work/clip-vocabulary"
"$PYTHON" - "$work" <<'END'
import glob, gzip, json, os, sys, zipfile

work = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(os.path.join(work, "*.whl"))[0])
lines = gzip.decompress(wheel.read("open_clip/bpe_simple_vocab_16e6.txt.gz")).decode("utf-8").split("\n")
merges = lines[1 : 49152 - 256 - 2 + 1]

# The byte symbols in GPT-2's order: the printable bytes, then the others as U+0100, U+0101, ...
printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
symbols = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]
entries = symbols + [s + "</w>" for s in symbols] + ["".join(m.split()) for m in merges]
entries += ["<|startoftext|>", "<|endoftext|>"]
assert len(entries) == len(set(entries)) == 49408, len(entries)

folder = os.path.join(work, "clip-vocabulary")
with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
    json.dump({entry: number for number, entry in enumerate(entries)}, file, ensure_ascii=False)
with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
    file.write("#version: 0.2\n" + "".join(merge + "\n" for merge in merges))
with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
    end = "<|endoftext|>"
    config = {"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": end}
    json.dump({**config, "model_max_length": 77, "do_lower_case": True, "tokenizer_class": "CLIPTokenizer"}, file, indent=2)
END

mkdir -p "$FOLDER"
for file in $FILES; do
    cp "$work/clip-vocabulary/$file" "$FOLDER/.$file.new"
    mv "$FOLDER/.$file.new" "$FOLDER/$file"
done
echo "Wrote $FOLDER."
