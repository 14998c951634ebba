#!/usr/bin/env python3
"""Finds public symbols of the library without a docstring, in the symbol graphs of modules that were built (make check-docs).

    Tools/check-docs.py [FOLDER]

FOLDER is where SwiftPM put what it built; the release folder unless given. Exits with 1 where a symbol has no docstring of its own
and takes none over from a protocol's requirement, where a docstring has some of the parameters and not all, or a mark that this
project writes in another way.
"""

import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = ["GraphRuntime", "ONNXLoader", "Ops", "SDPipeline"]
# C modules: those that SwiftPM writes a module map for, and the system libraries.
BUILT_C_MODULES = ["COnnxProto", "CKernels", "CMappedFileGuard", "CSpinWait", "COpenBLASControl", "CPNGReader", "CJPEGReader"]
SYSTEM_MODULES = ["CProtobufC", "COpenBLAS", "CPNG", "CJPEG", "CZlib"]


def extract(products, module, folder):
    """Writes the symbol graph of a module's public symbols, and returns its symbols."""
    command = ["swift", "symbolgraph-extract", "-module-name", module, "-I", products / "Modules"]
    command += ["-target", f"{platform.machine()}-unknown-linux-gnu", "-minimum-access-level", "public"]
    command += ["-skip-synthesized-members", "-output-dir", folder]
    for name in BUILT_C_MODULES:
        command += ["-Xcc", f"-fmodule-map-file={products / f'{name}.build' / 'module.modulemap'}"]
    for name in SYSTEM_MODULES:
        command += ["-I", ROOT / "Sources" / name]
    subprocess.run([str(part) for part in command], check=True)
    symbols = []
    # Extensions of other modules' types are in files of their own.
    for file in sorted(pathlib.Path(folder).glob(f"{module}*.symbols.json")):
        symbols += json.loads(file.read_text())["symbols"]
    return symbols


def place(symbol):
    """Where a symbol is written, None for what the compiler makes."""
    location = symbol.get("location")
    if not location:
        return None
    path = pathlib.Path(location["uri"].removeprefix("file://"))
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{location['position']['line'] + 1}"


def undocumented_parameters(symbol, text):
    """The parameters that a docstring leaves out although it has others; DocC takes that for a mistake."""
    documented = re.findall(r"^- Parameter (\w+):", text, re.MULTILINE)
    listed = re.search(r"^- Parameters:\n((?: +.*\n?)+)", text, re.MULTILINE)
    if listed:
        documented += re.findall(r"^ +- (\w+):", listed[1], re.MULTILINE)
    parameters = symbol.get("functionSignature", {}).get("parameters", [])
    names = [parameter.get("internalName", parameter["name"]) for parameter in parameters]
    return [name for name in names if documented and name not in documented]


def complaints(symbol):
    lines = [line["text"] for line in symbol.get("docComment", {}).get("lines", [])]
    text = "\n".join(lines).strip()
    if not text:
        yield "has no docstring"
    for name in undocumented_parameters(symbol, text):
        yield f"leaves out the parameter {name}"
    for line in lines:
        # Names that are symbols are links: two backticks. Those of Swift and Foundation have no page to link to.
        if re.search(r"- Throws:.*(?<!`)`(?!`)(?!CancellationError|DecodingError)\w*Error", line):
            yield f"has an error in single backticks: {line.strip()}"


def main():
    products = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".build" / "release"
    if not (products / "Modules").is_dir():
        sys.exit(f"check-docs: nothing is built in {products}")
    found = []
    for module in MODULES:
        with tempfile.TemporaryDirectory() as folder:
            symbols = [symbol for symbol in extract(products, module, folder) if place(symbol)]
        wrong = 0
        for symbol in symbols:
            reasons = list(complaints(symbol))
            wrong += bool(reasons)
            found += [f"{place(symbol)}: {module}.{'.'.join(symbol['pathComponents'])} {reason}" for reason in reasons]
        print(f"{module}: {len(symbols) - wrong} of {len(symbols)} public symbols documented")
    for line in sorted(found):
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
