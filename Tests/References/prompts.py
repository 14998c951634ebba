"""What AUTOMATIC1111's grammar makes of prompts, and pictures of prompts that it reads.

    prompts.py

Run with the Python of Tools/setup-python.sh, which made <cache>/families, and in it `pip install --no-deps lark diffusion-prompt-embedder`.
Writes prompts.json beside this file, and Tests/SDPipelineTests/Fixtures/prompts/: cases.json, and the latents of each case.

prompts.json has
    documented  texts with their schedules over 10 steps, and emphasis: the examples of that program's documentation (the docstrings of its
                prompt_parser, and its wiki's page "Features")
    schedules   texts with their schedules over 7 steps, by lark with the documented grammar
    emphasis    texts with (part, weight), by diffusion-prompt-embedder; its weight of -1 stands for a break
    chunks      texts without commas with (ids, weights) of each chunk of 75, by diffusion-prompt-embedder with the tokenizer of sd1

The pictures' judge is diffusers' pipeline over the torch modules of families.py. Their U-Nets get the states that `Encoder` makes, by
the rules alone, over transformers' encoders: cut into chunks of 75 tokens, at a comma among the last 20; multiplied by the weights, and then
so that the mean of each chunk's states is what it was. Embeddings, *.safetensors in the same folder, are random vectors of the tokens' size.
"""

import random
import re

import lark
import torch
from safetensors.torch import save_file
from diffusion_prompt_embedder.clip.tokenization import get_prompts_tokens_with_weights, group_tokens_and_weights
from diffusion_prompt_embedder.core.parser import parse_prompt_attention

import families
import family_cases
from common import ROOT, write_json

FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "prompts"
DOCUMENTED_SCHEDULES = {
    "test": [[10, "test"]],
    "a [b:3]": [[3, "a "], [10, "a b"]],
    "a [b: 3]": [[3, "a "], [10, "a b"]],
    "a [[[b]]:2]": [[2, "a "], [10, "a [[b]]"]],
    "[(a:2):3]": [[3, ""], [10, "(a:2)"]],
    "a [b : c : 1] d": [[1, "a b  d"], [10, "a  c  d"]],
    "a[b:[c:d:2]:1]e": [[1, "abe"], [2, "ace"], [10, "ade"]],
    "a [unbalanced": [[10, "a [unbalanced"]],
    "a [b:.5] c": [[5, "a  c"], [10, "a b c"]],
    "a [{b|d{:.5] c": [[5, "a  c"], [10, "a {b|d{ c"]],
    "((a][:b:c [d:3]": [[3, "((a][:b:c "], [10, "((a][:b:c d"]],
    "[a|(b:1.1)]": [[step, "a" if step % 2 else "(b:1.1)"] for step in range(1, 11)],
    "[fe|]male": [[step, "female" if step % 2 else "male"] for step in range(1, 11)],
    "[fe|||]male": [[step, "female" if step % 4 == 1 else "male"] for step in range(1, 11)],
}
DOCUMENTED_EMPHASIS = {
    "normal text": [["normal text", 1.0]],
    "an (important) word": [["an ", 1.0], ["important", 1.1], [" word", 1.0]],
    "(unbalanced": [["unbalanced", 1.1]],
    "\\(literal\\]": [["(literal]", 1.0]],
    "(unnecessary)(parens)": [["unnecessaryparens", 1.1]],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ["a ", 1.0], ["house", 1.5730000000000004], [" ", 1.1], ["on", 1.0], [" a ", 1.1], ["hill", 0.55], [", sun, ", 1.1],
        ["sky", 1.4641000000000006], [".", 1.1],
    ],
}  # fmt: skip
GRAMMAR = r"""
!start: (text | /[][():]/+)*
text: (weighted | edited | alternating | words | SPACE)*
!weighted: "(" text ")" | "(" text ":" text ")" | "[" text "]"
edited: "[" [text ":"] text ":" [SPACE] NUMBER [SPACE] "]"
alternating: "[" text ("|" [text])+ "]"
SPACE: /\s+/
words: /([^\\\[\]():|]|\\.)+/
%import common.SIGNED_NUMBER -> NUMBER
"""
PARSER = lark.Lark(GRAMMAR)
COMMA = ",</w>"


def written(node, step, steps):
    """The text of a parsed node at a step."""
    if node is None:
        return ""
    if isinstance(node, lark.Token):
        return str(node)
    if node.data == "edited":
        before, after, _, when, _ = node.children
        return written(before if step <= switch(when, steps) else after, step, steps)
    if node.data == "alternating":
        return written(node.children[(step - 1) % len(node.children)], step, steps)
    return "".join(written(child, step, steps) for child in node.children)


def switch(number, steps):
    """The last step before an edit: a number with a point is a share of all steps."""
    value = float(number)
    return min(steps, int(value * steps if "." in number else value))


def schedule(text, steps):
    """[last step, text] of each part of the run."""
    try:
        tree = PARSER.parse(text)
    except lark.exceptions.LarkError:
        return [[steps, text]]
    ends = {steps}
    for node in tree.iter_subtrees():
        if node.data == "edited":
            ends |= {end for end in [switch(node.children[-2], steps)] if end >= 1}
        elif node.data == "alternating":
            ends |= set(range(1, steps + 1))
    return [[end, written(tree, end, steps)] for end in sorted(ends)]


def combined(text):
    """(text, weight) of the prompts between ANDs."""
    parts = []
    for part in re.split(r"\bAND\b", text):
        found = re.fullmatch(r"(.*?)\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*", part, re.DOTALL)
        parts.append((found[1], float(found[2])) if found else (part.rstrip(), 1.0))
    return parts


def token_ids(text, tokenizer, words):
    """Lists of ids: one of each token, and all of a word that was learned, whatever punctuation is beside it. words: name → ids."""
    for part in re.split(rf"((?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w))", text) if words else [text]:
        yield from [words[part]] if part in words else part_ids(part, tokenizer, words)


def part_ids(text, tokenizer, words):
    """As token_ids, by the tokens of names."""
    ids = tokenizer(text, add_special_tokens=False, truncation=False).input_ids
    names = {tuple(tokenizer(name, add_special_tokens=False).input_ids): made for name, made in words.items()}
    position = 0
    while position < len(ids):
        found = next((name for name in sorted(names, key=len, reverse=True) if tuple(ids[position : position + len(name)]) == name), None)
        yield names[found] if found else [ids[position]]
        position += len(found or [0])


def chunks(text, tokenizer, words={}, length=75, backtrack=20):
    """(ids, weights) of each chunk, without start and end."""
    made, ids, weights, comma = [], [], [], None
    close = lambda: made.append((ids, weights))
    for part, weight in parse_prompt_attention(text):
        if part == "BREAK" and weight == -1:
            close()
            ids, weights, comma = [], [], None
            continue
        for tokens in token_ids(part, tokenizer, words):
            is_comma = tokens == [tokenizer.get_vocab()[COMMA]]
            if len(ids) == length and not is_comma and comma is not None and length - comma <= backtrack:
                rest = ids[comma + 1 :], weights[comma + 1 :]
                ids, weights = ids[: comma + 1], weights[: comma + 1]
                close()
                (ids, weights), comma = rest, None
            if len(ids) + len(tokens) > length:
                close()
                ids, weights, comma = [], [], None
            if is_comma:
                comma = len(ids)
            ids, weights = [*ids, *tokens], [*weights, *[weight] * len(tokens)]
    if ids or not made:
        close()
    return made


def extend(model, vectors):
    """Gives a text encoder tokens behind its vocabulary. Not for encoders that pool at the largest id, whose pooled states count."""
    table = model.text_model.embeddings.token_embedding
    table.forward = lambda ids: torch.cat([table.weight, vectors])[ids]


class Encoder:
    """Text encoders with their tokenizers, and the layer whose states are taken, counted from the last, 1.
    embeddings: name → vectors for each text encoder."""

    def __init__(self, parts, clip_skip, embeddings):
        self.words, count = {}, families.models.VOCABULARY
        for name, tables in embeddings.items():
            self.words[name] = list(range(count, count + len(tables[0])))
            count += len(tables[0])
        names = [name for name in ("text_encoder", "text_encoder_2") if parts.get(name) is not None]
        self.pairs = [(parts[name], parts[name.replace("text_encoder", "tokenizer")]) for name in names]
        self.is_xl = "text_encoder_2" in parts
        self.clip_skip = clip_skip or (2 if self.is_xl else 1)
        for index, (model, _) in enumerate(self.pairs):
            extend(model, torch.cat([torch.zeros(0, model.config.hidden_size), *(tables[index] for tables in embeddings.values())]))

    def count(self, text):
        return max(len(chunks(text, tokenizer, self.words)) for _, tokenizer in self.pairs)

    def __call__(self, text, count):
        """(states, pooled states), filled up to so many chunks."""
        rows, pooled = [], None
        for model, tokenizer in self.pairs:
            row = []
            listed = chunks(text, tokenizer, self.words)
            for ids, weights in listed + [([], [])] * (count - len(listed)):
                states, first = self.states(model, tokenizer, ids)
                scaled = states * torch.tensor([1.0, *weights, *[1.0] * (76 - len(ids))]).reshape(1, -1, 1)
                row.append(scaled * (states.mean() / scaled.mean()))
                pooled = first if not row[1:] else pooled
            rows.append(torch.cat(row, dim=1))
        return torch.cat(rows, dim=-1), pooled

    def states(self, model, tokenizer, ids):
        filled = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id] + [tokenizer.pad_token_id] * (75 - len(ids))
        answer = model(torch.tensor([filled]), output_hidden_states=True)
        states = answer.hidden_states[-self.clip_skip]
        return states if self.is_xl else model.text_model.final_layer_norm(states), answer.get("text_embeds")


class Conditioned:
    """Takes the place of U-Nets' forward: at each step the states of the prompts, whatever the pipeline gives."""

    def __init__(self, asked, steps, each):
        self.asked, self.steps, self.each, self.calls = asked, steps, each, 0
        self.negative = schedule(asked["negative_prompt"] or "", steps)
        self.positive = [(schedule(text, steps), weight) for text, weight in combined(asked["prompt"])]

    def patch(self, parts):
        unet, encoder = parts["unet"], Encoder(parts, self.asked["clip_skip"], {name: EMBEDDINGS[file] for name, file in self.asked["embeddings"].items()})
        texts = [text for stages in [self.negative, *(stages for stages, _ in self.positive)] for _, text in stages]
        used = texts if self.guided or self.composed else [text for stages, _ in self.positive for _, text in stages]
        count = max(encoder.count(text) for text in used)
        known = {text: encoder(text, count) for text in set(used)}
        forward = type(unet).forward
        zeros = encoder.is_xl and self.asked["negative_prompt"] is None and parts.get("force_zeros_for_empty_prompt", True)

        def predict(sample, timestep, states, pooled, added, arguments):
            rows = len(sample)
            if added is not None:
                added = {**added, "text_embeds": pooled.repeat(rows, 1)}
            return forward(unet, sample, timestep, states.repeat(rows, 1, 1), added_cond_kwargs=added, **arguments)[0]

        def replacement(sample, timestep, encoder_hidden_states, added_cond_kwargs=None, **arguments):
            step = min(self.calls // self.each + 1, self.steps)
            self.calls += 1
            at = lambda stages: next(text for end, text in stages if step <= end)
            half = len(sample) // 2 if self.guided else len(sample)
            part = lambda first: added_cond_kwargs and {key: rows[first : first + half] for key, rows in added_cond_kwargs.items()}
            run = lambda states, first: predict(sample[:half], timestep, *states, part(first), arguments)
            positive = [(run(known[at(stages)], len(sample) - half), weight) for stages, weight in self.positive]
            if not self.guided and not self.composed:
                return (positive[0][0],)
            states = known[at(self.negative)]
            if zeros:
                states = tuple(torch.zeros_like(value) for value in states)
            negative = run(states, 0)
            moved = negative + sum(weight * (prediction - negative) for prediction, weight in positive)
            return (torch.cat([negative, moved]) if self.guided else moved,)

        unet.forward = replacement
        return unet

    @property
    def guided(self):
        return self.asked["guidance_scale"] > 1 and "LatentConsistency" not in self.asked["pipeline"]

    @property
    def composed(self):
        return len(self.positive) > 1 or self.positive[0][1] != 1


LONG = ", ".join(f"a {size} {colour} {thing}" for size in ("small", "large") for colour in ("red", "blue", "green") for thing in ("apple", "fox", "owl"))  # fmt: skip


def asked_for():
    """(models that make the latents, case, steps of the run, evaluations a step)"""
    small, large = (64, 64), (128, 128)

    def add(models, name, kind, prompt, task="text", scheduler="euler", size=small, run=None, each=1, clip_skip=None, embeddings={}, **arguments):
        made = family_cases.case(name, task, scheduler, kind, size, **{"steps": 8, "guidance_scale": 5.0, **arguments})
        return models, {**made, "prompt": prompt, "clip_skip": clip_skip, "embeddings": embeddings}, run or made["steps"], each

    weighted = "a (red:1.4) apple on a [blue] ((background))"
    edited = "a [red:green:0.5] apple [on a table::3] [:with (leaves:1.3):0.25]"
    every = ["sd1", "old-optimum", "old-script", "old-mode"]
    return [
        add(["sd1"], "weights", "sd", weighted, negative_prompt="(green:1.3) background", seed=1),
        add(["sd1"], "escapes", "sd", "a \\(red\\) (apple\\): [1] :)", seed=2, batch=2, steps=4),
        add(["sd1"], "long", "sd", LONG + ", (a rocket:1.2)", negative_prompt="rain", seed=3),
        add(["sd1"], "long-negative", "sd", "a (fox)", negative_prompt=LONG + LONG, seed=4, scheduler="ddim", steps=4),
        add(["sd1"], "break", "sd", "a red apple BREAK (a blue:1.2) background", seed=5, batch=2, steps=4),
        add(["sd1"], "and", "sd", "a red (apple) :1.2 AND a blue background :0.6 AND an owl:-.3", negative_prompt="a fox", seed=6, batch=2),
        add(["sd1"], "and-unguided", "sd", "a red apple AND a blue background :0.5", guidance_scale=1.0, seed=7),
        add(["sd1"], "weight-alone", "sd", "a [red] apple :0.7", seed=8, steps=4),
        add(["sd1"], "negative-and", "sd", "(an owl)", negative_prompt="a fox AND rain :2", seed=18, steps=4),
        add(["sd1"], "editing", "sd", edited, negative_prompt="[rain:snow:4]", seed=9, batch=2),
        add(["sd1"], "editing-unguided", "sd", edited, guidance_scale=1.0, seed=10),
        add(["sd1"], "alternation", "sd", "a [red|green|(blue:1.5)] apple", scheduler="heun", each=2, seed=11),
        add(["sd1"], "editing-pndm", "sd", "a [fox:[owl:crab:.9]:.5]", scheduler="own", seed=12),
        add(every, "clip-skip-2", "sd", weighted, clip_skip=2, seed=13),
        add(["sd1"], "clip-skip-3", "sd", "a fox BREAK an owl", clip_skip=3, seed=14),
        add(["sd1"], "editing", "sd", edited, task="picture", strength=0.5, run=4, scheduler="ddim", seed=15, batch=2),
        add(["sd1"], "and", "sd", "a [fox|owl] AND (a crab) :0.5", task="inpaint", strength=1.0, seed=16),
        add(["sd1-inpaint"], "editing", "sd", "a [fox:(owl:1.2):0.5]", task="inpaint", strength=1.0, seed=17),
        add(["sd2"], "weights", "sd", weighted, negative_prompt="(rain)", scheduler="own", seed=21),
        add(["sd2"], "clip-skip-2", "sd", "a [fox:owl:3]", clip_skip=2, scheduler="own", seed=22),
        add(["lcm"], "editing", "lcm", "a [fox:(owl:1.3):2]", scheduler="own", steps=4, guidance_scale=8.5, seed=23),
        add(["sdxl"], "weights", "xl", weighted, size=large, negative_prompt="(rain:1.2)", seed=31),
        add(["sdxl"], "long", "xl", LONG + ", (a rocket:1.2)", size=large, seed=32, steps=4),
        add(["sdxl"], "long-negative", "xl", "a (fox)", negative_prompt=LONG + LONG, size=large, seed=33, steps=4),
        add(["sdxl"], "editing", "xl", edited + " AND a [fox|owl] :0.5", size=large, seed=34, batch=2),
        add(["sdxl"], "clip-skip-1", "xl", weighted, clip_skip=1, size=large, seed=35, steps=4),
        add(["sdxl"], "clip-skip-3", "xl", "a fox", clip_skip=3, size=large, seed=36, steps=4),
        add(["sdxl"], "editing", "xl", edited, task="picture", strength=0.5, run=4, size=large, seed=37),
        add(
            ["sdxl"], "refined", "xl", "a [fox:(owl:1.3):0.25] [|with wings] [:on a table:.7]", size=large, seed=38, steps=10, run=10,
            refiner="sdxl-refiner/model", refiner_start=0.5, scheduler="own",
        ),
        add(
            [*every, "sd1-half-inside"], "embedding", "sd", "a (<style>:1.2) fox, my-toy", negative_prompt="my toy, a <style>", seed=41,
            embeddings={"<style>": "one.safetensors", "my-toy": "three.safetensors"},
        ),
        add(
            ["sd1"], "embedding-chunks", "sd", "a " * 73 + "my-toy and [my-toy:<style>:2], my-toy", seed=42, steps=4,
            embeddings={"<style>": "one.safetensors", "my-toy": "three.safetensors"},
        ),
        add(["sd2"], "embedding", "sd", "my-toy", seed=43, steps=4, scheduler="own", embeddings={"my-toy": "wide.safetensors"}),
        add(
            ["sdxl"], "embedding", "xl", "a (my-toy:1.1) on a table", size=large, seed=44, steps=4,
            embeddings={"my-toy": "pair.safetensors"},
        ),
    ]  # fmt: skip


def embeddings():
    """Vectors for each text encoder, by the name of their file: in A1111's form, diffusers', half precision, and SDXL's."""
    torch.manual_seed(5)
    draw = lambda *shape: 0.5 * torch.randn(*shape)
    one, three, wide, pair = draw(32), draw(3, 32).bfloat16(), draw(2, 48).half(), (draw(2, 32), draw(2, 48))
    FIXTURES.mkdir(parents=True, exist_ok=True)
    save_file({"<style>": one}, FIXTURES / "one.safetensors")
    save_file({"emb_params": three}, FIXTURES / "three.safetensors", {"format": "pt"})
    save_file({"emb_params": wide}, FIXTURES / "wide.safetensors")
    save_file({"clip_l": pair[0], "clip_g": pair[1]}, FIXTURES / "pair.safetensors")
    return {
        "one.safetensors": [one[None]], "three.safetensors": [three.float()], "wide.safetensors": [wide.float()],
        "pair.safetensors": list(pair),
    }  # fmt: skip


EMBEDDINGS = embeddings()
PARTS = {
    "sd1": lambda m: m.sd1("sd1", families.sd1_scheduler()),
    "sd1-inpaint": lambda m: m.sd1("sd1-inpaint", families.sd1_scheduler()),
    "sd2": lambda m: m.sd2("sd2", families.sd2_scheduler()),
    "lcm": lambda m: m.sd1("lcm", families.lcm_scheduler()),
    "sdxl": lambda m: m.sdxl("sdxl", families.sdxl_scheduler()),
}


def latents_of(parts, refiner, asked):
    pipeline, source = family_cases.assemble(parts, asked["pipeline"], asked), family_cases.generators(asked)
    if refiner is None:
        return family_cases.call(pipeline, asked, families.ROOT, generator=source)[1]
    start = asked["refiner_start"]
    handed, _ = family_cases.call(
        pipeline, asked, families.ROOT, generator=source, denoising_end=start, output_type="latent")  # fmt: skip
    second = family_cases.assemble(refiner, "StableDiffusionXLImg2ImgPipeline", asked)
    further = dict(image=handed.images, denoising_start=start, generator=source)
    return family_cases.call(second, {**asked, "strength": None}, families.ROOT, **further)[1]


def run(modules, models, asked, steps, each):
    parts = PARTS[models[0]](modules)
    second = modules.refiner(families.sdxl_scheduler()) if asked["refiner"] else None
    conditioned = Conditioned(asked, steps, each)
    patched = [conditioned.patch(part) for part in (parts, second) if part is not None]
    blank = {**asked, "prompt": "", "name": f"{models[0]}-{asked['name']}"}
    if "LatentConsistency" in asked["pipeline"]:
        blank["negative_prompt"] = None
    try:
        with torch.no_grad():
            family_cases.save(latents_of(parts, second, blank), FIXTURES, blank["name"], FIXTURES)
    finally:
        for unet in patched:
            del unet.forward
    kept = ("task", "prompt", "negative_prompt", "guidance_scale", "steps", "strength", "seed", "batch", "width", "height", "scheduler")
    more = ("scheduler_options", "image", "mask", "refiner", "refiner_start", "clip_skip", "embeddings")
    return {
        "name": blank["name"], "models": [f"{name}/model" for name in models], **{key: asked[key] for key in kept + more},
        "latents": f"{blank['name']}.npy",
    }  # fmt: skip


def random_texts(count):
    """Texts of the grammar's characters, each with the chance to be read at all."""
    draw = random.Random(7)
    pieces = ["a", "fox ", " owl", "[", "]", "[", "]", "(", ")", ":", ":", "|", ":2", ":.5]", ":1.2)", "\\(", "\\]", " ", "3", ", ", "[c:d:4]", "[e|f]"]  # fmt: skip
    return ["".join(draw.choice(pieces) for _ in range(draw.randint(1, 14))) for _ in range(count)]


def is_open(text):
    """Whether it depends on the parser how the grammar reads a text: brackets that are closed and followed by others, which a run of loose
    brackets and colons may begin with. And whether the documentation says something else, of bars in what is edited."""
    return re.search(r"\][][():]{2,}", text) or re.search(r"\|.*:\s*[.0-9]+\s*\]", text)


def documented_break(text):
    """Whether a break is inside of brackets, where that program takes it as a word with a negative weight."""
    return any(part == "BREAK" and weight != -1 for part, weight in parse_prompt_attention(text))


def write_readings():
    tokenizer = families.models.tokenizer()
    texts = random_texts(600) + [text for _, asked, *_ in asked_for() for text in (asked["prompt"], asked["negative_prompt"] or "")]
    emphasis = texts + ["a BREAK b", "BREAK", "a (b) BREAK [c] BREAK", "breaks BREAKS BREAK_ BREAK.", "(a: +1.5 )", "a:1.2)", "\\", "a\\b\\\\", "(((", "[]", "()"]  # fmt: skip
    emphasis = [text for text in emphasis if not documented_break(text) and not re.search(r":\s*[+-]?[.\d]*\.[.\d]*\.", text)]
    sentences = ["", "a (fox:1.3) and [an owl]", "(fox " * 9 + "owl " * 80, "a red fox " * 40, "(a :0)fox"]
    blocks = lambda text: group_tokens_and_weights(*get_prompts_tokens_with_weights(tokenizer, text))
    write_json(
        ROOT / "Tests" / "References" / "prompts.json",
        {
            "documented": {"schedules": DOCUMENTED_SCHEDULES, "emphasis": DOCUMENTED_EMPHASIS},
            "schedules": {text: schedule(text, 7) for text in texts if not is_open(text)},
            "emphasis": {text: parse_prompt_attention(text) for text in emphasis},
            # Its chunks have the ids of CLIP's own vocabulary for start and end.
            "chunks": {text: [list(pair) for pair in zip(*[[row[1:-1] for row in rows] for rows in blocks(text)])] for text in sentences},
        },
    )


def main():
    write_readings()
    modules = families.Modules()
    write_json(FIXTURES / "cases.json", [run(modules, *asked) for asked in asked_for()])


if __name__ == "__main__":
    main()
