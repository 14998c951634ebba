"""Writes what transformers' CLIPTokenizer makes of the lines of tokenizer_text.py, and of some unusual tokenizer folders.

Run from the repository's root, once with each of the two environments that Tools/setup-python.sh makes:

    "$(Tools/setup-python.sh | tail -n 1)" Tests/References/tokenizer.py
    "$(Tools/setup-python.sh transformers5 | tail -n 1)" Tests/References/tokenizer.py

The first has transformers 4.57 without ftfy on Python 3.11 (Unicode 14.0), the second transformers 5. Both need OpenAI's vocabulary
(Tools/fetch-clip-vocabulary.sh). Writes into Tests/References/transformers4 or transformers5:

    tokenizer-ids.json        the ids of the first lines, by vocabulary
    tokenizer-hashes.txt      per line the FNV-1a hash (64 bits) of its ids as little-endian 32-bit integers, by vocabulary
    tokenizer-folders.json    configuration files in many forms, texts, and what comes of them

    tokenizer-document.json   a tokenizer.json as the tokenizers library writes it, its vocabulary and merges taken out
    tokenizer-words.json      texts and their tokens, where LEARNED are added tokens, as diffusers adds those of textual inversion

and the lines into Tests/References/tokenizer-text.json.
"""

import importlib.util
import json
import os
import shutil
import tempfile
import unicodedata

import transformers
from tokenizer_text import lines
from transformers import CLIPTokenizer

VERSION = int(transformers.__version__.split(".")[0])
REFERENCES = "Tests/References"
OUTPUT = f"{REFERENCES}/transformers{VERSION}"
EMOJI = "Models/emoji/tokenizer"
OPENAI = os.path.join(os.environ.get("SD_ONNX_TEST_CACHE") or os.path.expanduser("~/.cache/sd-onnx"), "clip-vocabulary")
READABLE = 500
LEARNED = ["<cat>", "my-toy", "Style-One", "my-toy-2"]
BESIDE = [
    "a <cat>, oil painting", "<cat>.", "a <cat>!", '"<cat>" fox', "a <cat>-fox", "(a <cat>, b:1.2)", "<cat><cat>", "a<cat>b", "<CAT> fox",
    "a <Cat>,", "my-toy, fox", "amy-toyb", "My-Toy", "my-toy-2, my-toy-3", "my - toy", "<  cat >", "Style-One;style-one", "STYLE-ONE!?",
    "  <cat>  my-toy", "<cat", "a cat",
]  # fmt: skip
START, END = "<|startoftext|>", "<|endoftext|>"


def fnv(ids):
    value = 0xCBF29CE484222325
    for byte in b"".join(i.to_bytes(4, "little") for i in ids):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def flags(content, **given):
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": True} | given


def folders():
    """Configuration files by name; each goes with the embedded model's vocab.json and merges.txt."""
    decoder = {"2046": flags(START, special=True), "2047": flags(END, special=True)}
    names = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    size = 2048
    yield "no configuration", {}
    yield "padding with !", {"tokenizer_config.json": {**names, "pad_token": "!", "model_max_length": 20}}
    yield (
        "padding with ! as objects of the special tokens map",
        {
            "tokenizer_config.json": {"model_max_length": 20, "pad_token": END},
            "special_tokens_map.json": {**{k: flags(v) for k, v in names.items()}, "pad_token": "!"},
        },
    )
    yield (
        "padding with ! in the decoder, the map ignored",
        {
            "tokenizer_config.json": {
                **names,
                "pad_token": "!",
                "model_max_length": 9,
                "added_tokens_decoder": {"0": flags("!", special=True), **decoder},
            },
            "special_tokens_map.json": {"pad_token": "?"},
        },
    )
    yield "no limit", {"tokenizer_config.json": {**names, "model_max_length": 1000000000000000019884624838656}}
    yield "left", {"tokenizer_config.json": {**names, "model_max_length": 8, "padding_side": "left", "truncation_side": "left"}}
    yield "do_lower_case false", {"tokenizer_config.json": {**names, "do_lower_case": False}}
    yield "spaces cleaned up", {"tokenizer_config.json": {**names, "clean_up_tokenization_spaces": True}}
    yield (
        "concepts",
        {
            "tokenizer_config.json": {
                **names,
                "model_max_length": 24,
                "added_tokens_decoder": {
                    **decoder,
                    str(size): flags("<cat-toy>"),
                    str(size + 1): flags("<cat-toy>_1", normalized=False),
                    str(size + 2): flags("Mask", lstrip=True, special=True),
                    str(size + 3): flags("BIG", rstrip=True),
                    str(size + 4): flags("one", single_word=True),
                    "165": flags("é"),
                    str(size + 5): flags("e\u0301x"),
                },
                "additional_special_tokens": ["Mask", "<new>"],
            }
        },
    )
    yield (
        "another id for a token of the vocabulary",
        {"tokenizer_config.json": {**names, "added_tokens_decoder": {**decoder, str(size): flags("é")}}},
    )
    yield (
        "older added tokens",
        {
            "tokenizer_config.json": names,
            "added_tokens.json": {"<cat-toy>": size, "Mask": size + 1},
            "special_tokens_map.json": {"additional_special_tokens": ["Mask"], "mask_token": "<m>", "pad_token": "<pad>"},
        },
    )


TEXTS = [
    "",
    "a photo of a cat!",
    "Hello!!! <|endoftext|> it's <|startoftext|>!",
    "a <cat-toy> and a <cat-toy>_1, <CAT-TOY> and <cat-toy>_2",
    "the  Mask  and the BIG  one, one two, someone one",
    "one one",
    "x Mask",
    "BIG\t\n y",
    "é e\u0301x e\u0301 É",
    "<new> <m> <pad>",
    "red heart , it 's nice . Isn't it ?",
    "smiling face with heart eyes and a red rocket on the blue moon, green, small, cute, 12345",
]


def record(name, files, folder):
    for file, content in files.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8") as handle:
            json.dump(content, handle, ensure_ascii=False)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    # The tokenizers library gives what it found in the text in the place of an added token.
    added = tokenizer.added_tokens_decoder
    tokens = lambda ids, texts: [str(added[i]) if i in added else t for i, t in zip(ids, texts, strict=True)]
    # It decodes added tokens as if they were bytes, and in lower case: nothing to follow.
    known = lambda ids: VERSION < 5 or all(str(added[i]) in (START, END) for i in ids if i in added)
    length = tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else 16
    padded = [tokenizer(t, padding="max_length", max_length=length, truncation=True) for t in TEXTS]
    ids = [tokenizer(t).input_ids for t in TEXTS]
    return {
        "name": name,
        "files": {file: json.dumps(content, ensure_ascii=False) for file, content in files.items()},
        "size": len(tokenizer),
        "maximumLength": tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else None,
        "special": [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id],
        "length": length,
        "texts": [
            {
                "text": text,
                "tokens": tokens(ids[i][1:-1], tokenizer.tokenize(text)),
                "ids": ids[i],
                "padded": padded[i].input_ids,
                "mask": padded[i].attention_mask,
                "decoded": tokenizer.decode(ids[i]) if known(ids[i]) else None,
                "plain": tokenizer.decode(ids[i], skip_special_tokens=True) if known(ids[i]) else None,
            }
            for i, text in enumerate(TEXTS)
        ],
    }


def main():
    assert importlib.util.find_spec("ftfy") is None, "with ftfy, CLIPTokenizer cleans text in another way"
    assert unicodedata.unidata_version == "14.0.0", "the reference is Python 3.11's Unicode version"

    os.makedirs(OUTPUT, exist_ok=True)

    def write(name, value, folder=OUTPUT):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            rows = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value]
            file.write("[\n" + ",\n".join(rows) + "\n]\n")

    text = lines()
    vocabularies = [CLIPTokenizer.from_pretrained(EMOJI), CLIPTokenizer.from_pretrained(OPENAI)]
    assert len(vocabularies[1]) == 49408
    ids = [[tokenizer(line).input_ids for tokenizer in vocabularies] for line in text]
    write("tokenizer-text.json", text, REFERENCES)
    write("tokenizer-ids.json", ids[:READABLE])
    with open(os.path.join(OUTPUT, "tokenizer-hashes.txt"), "w") as file:
        file.writelines(f"{fnv(small)} {fnv(large)}\n" for small, large in ids)

    records = []
    for name, files in folders():
        with tempfile.TemporaryDirectory() as folder:
            for file in ["vocab.json", "merges.txt"]:
                shutil.copy(os.path.join(EMOJI, file), folder)
            records.append(record(name, files, folder))
    write("tokenizer-folders.json", records)

    learned = CLIPTokenizer.from_pretrained(EMOJI)
    learned.add_tokens(LEARNED)
    write("tokenizer-words.json", [[line, learned.convert_ids_to_tokens(learned(line).input_ids[1:-1])] for line in BESIDE])

    with tempfile.TemporaryDirectory() as folder:
        fast = CLIPTokenizer if VERSION >= 5 else transformers.CLIPTokenizerFast
        fast.from_pretrained(EMOJI).save_pretrained(folder)
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
            document = json.load(file)
    document["model"]["vocab"] = {}
    document["model"]["merges"] = []
    with open(os.path.join(OUTPUT, "tokenizer-document.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
