#!/usr/bin/env python3
"""Writes docs/operators.md: every operator of the standard with its versions and types, and what of it the program has, by
"sd-onnx operators --json"; and the operators of other domains. With --check, says whether the file is up to date instead.

Run it with the Python that Tools/setup-python.sh prints, after "make build"; "make conformance" does both.
"""

import argparse
import fnmatch
import json
import subprocess
import sys
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operators.md"
SHORT = {"float": "float32", "double": "float64"}
DOMAINS = {"": "ai.onnx", "ai.onnx.ml": "ai.onnx.ml", "ai.onnx.preview": "ai.onnx.preview", "ai.onnx.preview.training": "ai.onnx.preview.training"}
# Why what isn't there isn't there.
ABSENT = {"ai.onnx.preview.training": "training"}


def known():
    program = ROOT / ".build" / "release" / "sd-onnx"
    answer = json.loads(subprocess.run([program, "operators", "--json"], check=True, capture_output=True).stdout)
    return {(o["domain"], o["name"]): o["versions"] for o in answer["operators"]}, answer["newest_opsets"]["ai.onnx"]


def types(schema):
    """The element types of the inputs, without those that only indices, shapes and conditions have."""
    found = {}
    for item in list(schema.inputs)[:1] or list(schema.outputs)[:1]:
        for text in sorted(item.types):
            kind, _, inner = text.partition("(")
            name = inner.rstrip(")") if kind == "tensor" else text
            found[SHORT.get(name, name)] = None
    tensors = [name for name in found if "(" not in name]
    others = sorted({name.partition("(")[0] for name in found if "(" in name})
    order = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
             "bool", "string", "complex64", "complex128"]
    tensors.sort(key=lambda name: (order.index(name) if name in order else len(order), name))
    whole = [n for n in order if n.startswith(("int", "uint"))]
    if all(name in tensors for name in whole):
        tensors = [name for name in tensors if name not in whole]
        tensors.insert(sum(name in order[:4] for name in tensors), "all integers")
    small = [name for name in tensors if name.startswith(("float8", "float4", "int4", "uint4", "int2", "uint2"))]
    tensors = [name for name in tensors if name not in small] + (["smaller types"] if small else [])
    return ", ".join(tensors + others)


def status(domain, name, since, versions, deprecated, newest):
    if domain in ABSENT:
        return ABSENT[domain]
    mine = versions.get((domain, name))
    if mine is None:
        return "withdrawn" if deprecated else "no"
    # A definition holds from its version on, so a version without one of its own has the meaning of that before it.
    missing = [v for v in since if v < min(mine)]
    text = "yes" if not missing else f"from {min(v for v in since if v >= min(mine))}"
    return text


def page():
    versions, newest = known()
    schemas = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        schemas.setdefault((DOMAINS[schema.domain], schema.name), []).append(schema)
    text = [
        "# Operators", "",
        f"Written by `make conformance` from `sd-onnx operators --json` and the schemas of onnx {onnx.__version__}; don't edit it by hand. "
        "\"Versions\" are the opset versions at which the standard changed an operator; \"types\" are those of its first input in the newest "
        "version. \"from N\" means that older versions than N are refused. What is left out of ONNX's own test cases, and why, is in "
        "`Tests/OpsTests/Fixtures/node-cases-skipped.txt`.", ""]
    counts = []
    for domain in DOMAINS.values():
        rows = []
        for (place, name), list_ in sorted(schemas.items()):
            if place != domain:
                continue
            list_.sort(key=lambda s: s.since_version)
            since = [s.since_version for s in list_]
            rows.append((name, since, types(list_[-1]), status(domain, name, since, versions, list_[-1].deprecated, newest)))
        there = sum(r[3].startswith(("yes", "from")) for r in rows)
        counts.append(f"{domain} {there} of {len(rows)}")
        text += [f"## {domain}", "", f"{there} of {len(rows)} operators.", "", "| operator | versions | types | status |", "|---|---|---|---|"]
        text += [f"| {name} | {', '.join(map(str, since))} | {kinds} | {state} |" for name, since, kinds, state in rows] + [""]
    standard = set(schemas)
    others = sorted(key for key in versions if key not in standard)
    for domain in sorted({key[0] for key in others}):
        names = [f"`{name}`" for place, name in others if place == domain]
        text += [f"## {domain}" + (" beside the standard" if domain in DOMAINS.values() else ""), "", ", ".join(names) + ".", ""]
    print("; ".join(counts), file=sys.stderr)
    return "\n".join(text).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where docs/operators.md isn't what would be written")
    made = page()
    if parser.parse_args().check:
        if not PAGE.exists() or PAGE.read_text() != made:
            sys.exit("docs/operators.md isn't up to date: run \"make conformance\".")
        return
    PAGE.write_text(made)


if __name__ == "__main__":
    main()
