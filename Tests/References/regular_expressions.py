"""Which texts regular expressions match, by ONNX Runtime's RegexFullMatch, which is RE2's.

    regular_expressions.py      writes Tests/References/regular-expressions.json

`texts` are tried with every pattern; `matches` has the places of those that it matches, and is null where RE2 doesn't take the pattern.
"""

import json
import random
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = [
    r"a*", r"(a|b)*c", r"[a-z]+@[a-z]+\.com", r"(?i)hello", r"(?i)[k-m]+", r"a.c", r"(?s)a.c", r"^a$", r"(?m)a$\nb", r"(?m)^a\n^b$",
    r"\bfoo\b", r"a\Bb", r"\d{2,4}", r"\d{2,}", r"x{3}", r"x{0}", r"a{,2}", r"a{", r"a{1", r"[^a]", r"[]a]+", r"[a-]+", r"[\d\-x]+",
    r"[[:alpha:]]+", r"[[:^digit:]]+", r"\pL+", r"\p{Lu}\p{Ll}*", r"\PN+", r"\p{^N}+", r"\p{Greek}+", r"\p{Han}+", r"[\p{L}\d]+",
    r"\w+\s\W", r"\Qa.b\E+", r"\x41\x{1F600}", r"\101", r"\0", r"(?:ab)+?", r"(?P<name>a)b", r"(?<n>a)b", r"a|", r"|", r"()", r"a**",
    r"*a", r"a++", r"(a", r"a)", r"[a", r"[z-a]", r"(?=a)", r"(?<!a)b", r"\1", r"(a)\1", r"\8", r"\q", r"\_", r"\-", r"é+", r"[é-ü]+",
    r".", r"..", r"(?i)straße", r"(?i)K", r"(?i)[^k]", r"(a*)*", r"(a*)+", r"(a|a?)+b", r"^*a", r"(^a|b$)+", r"(?i:a)b", r"(?i)a(?-i)b",
    r"(?-s:.)", r"(?U)a+", r"(?z)a", r"a{1001}", r"a{5,2}", r"(a{10}){10}", r"[[:foo:]]", r"[[:alpha:]-z]", r"[a-\d]", r"\A\za",
    r"\Aa\z", r"[\n\t]+", r"\a\f\v", r"[^\n]*", r"[\s\S]*", r"[^\D]", r"[\W]+", r"(?i)[[:upper:]]", r"(?i)\x{17F}", r"a?a?a?aaa",
    r"\p{Zs}", r"\p{Sc}", r"\pZ", r"\p{Foo}", r"\p", r"\p{", r"\x", r"\x4", r"\x{110000}", r"a{2}{3}", r"a{2}*", r"a??", r"a*?",
    r"(|a)*", r"(|a)+b", r"((a)|(b))*?c", r"(?m)(^a$\n?)+", r"a$b", r"\.\*\+", r"[.]+", r"[*+?]+", r"\E", r"a\Eb", r"\Qab", r"(?i)ΣΑ",
    r"(?i)ſ", r"[[:word:]]{1,3}", r"[\]]", r"[\\]", r"[a\]b]+", r"[^]a]+", r"[-a]+", r"[a-c-e]+",
]
TEXTS = [
    "", "a", "b", "c", "ab", "ba", "aa", "aaa", "aaab", "abc", "a\nc", "abab", "abc@def.com", "HELLO", "hello", "HeLLo", "Kl", "K", "k",
    "Klm", "a\nb", "foo", "12", "123", "12345", "xxx", "a{,2}", "a{", "a{1", "]a", "a-", "1-x", "Ab", "ABC", "éa", "Éa", "é", "üé", "Ωα",
    "漢字", "x1", "w !", "a.b", "a.bb", "A😀", "\u0000", "ababab", "aab", "aaaaaa", "_", "-", "ß", "STRASSE", "straße", "STRAßE", "ſ", "s",
    "S", "aB", "Ab", "AB", "a" * 100, "1\t", "\n\t", "\u0007\f\u000b", " ", "\u00a0", "$", "€", "aaaa", "aaaaaaaaaaaa", ".*+", "...",
    "*+?", "σα", "ΣΑ", "ςα", "\\", "a]b", "ace-", "1_a", "a b", "foo bar", "\r\n", "z", "e-c", "abb", "bba", "a1", "ab ab", "bbb", "11",
    "1a",
]
ATOMS = ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "(?:a|b)", "(ab)", "^", "$", r"\b", "a|b", "1", r"\s"]


def drawn(count):
    """Patterns of a few parts, many of them repeated."""
    dice = random.Random(4)
    for _ in range(count):
        parts = [dice.choice(ATOMS) + dice.choice(["", "", "*", "+", "?", "{2}", "{1,3}", "|", ""]) for _ in range(dice.randint(1, 5))]
        pattern = "".join(parts)
        yield "(" + pattern + ")" + dice.choice(["*", "+", "{0,2}", ""]) if dice.random() < 0.3 else pattern


def matches(pattern):
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern=pattern)
    ends = [helper.make_tensor_value_info("x", TensorProto.STRING, ["n"]), helper.make_tensor_value_info("y", TensorProto.BOOL, ["n"])]
    graph = helper.make_graph([node], "expression", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:  # What is wrong with a pattern comes as various types of exceptions.
        return None
    found = session.run(None, {"x": np.array(TEXTS, dtype=object)})[0]
    return [place for place, value in enumerate(found) if value]


def main():
    onnxruntime.set_default_logger_severity(4)
    patterns = [*PATTERNS, *drawn(400)]
    result = {"texts": TEXTS, "patterns": [{"pattern": pattern, "matches": matches(pattern)} for pattern in patterns]}
    target = ROOT / "Tests/References/regular-expressions.json"
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in result["patterns"])
    target.write_text(f'{{"texts": {json.dumps(TEXTS)},\n"patterns": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
