"""The 5,400 lines of text that the tokenizer is held against: 400 hard ones, then every kind that we could think of, from one seed."""

import random
import unicodedata

HARD_LINES = 400
LINES = 5000

WORDS = """a an the of on in with and by at photo painting portrait astronaut riding horse mars cat dog sunset over ocean
mountains cyberpunk city street neon lights rainy night highly detailed 8k trending artstation masterpiece best quality
watercolor oil canvas studio lighting bokeh f/1.8 35mm cinematic render unreal engine octane style greg rutkowski mucha
don't it's they're we've I'm she'll he'd can't won't o'clock rock'n'roll Internationalisierung Donaudampfschifffahrt
smiling face heart eyes grinning rocket pizza unicorn rainbow thumbs up red blue green yellow McDonald iPhone NASA USA""".split()

BLOCKS = [
    (0x41, 0x7B), (0xC0, 0x180), (0x180, 0x250), (0x250, 0x2B0), (0x2B0, 0x300), (0x370, 0x400), (0x400, 0x530),
    (0x531, 0x590), (0x5D0, 0x5EB), (0x600, 0x700), (0x710, 0x750), (0x780, 0x7B2), (0x7C0, 0x7FB), (0x840, 0x85C),
    (0x900, 0x980), (0x980, 0xA00), (0xA01, 0xA77), (0xA81, 0xAF2), (0xB01, 0xB78), (0xB82, 0xBFB), (0xC00, 0xC80),
    (0xC80, 0xCF3), (0xD00, 0xD80), (0xD81, 0xDF5), (0xE01, 0xE5C), (0xE81, 0xEE0), (0xF00, 0xFDB), (0x1000, 0x10A0),
    (0x10A0, 0x1100), (0x1100, 0x1200), (0x1200, 0x13A0), (0x13A0, 0x1400), (0x1400, 0x1680), (0x1680, 0x1700),
    (0x1780, 0x17FA), (0x1800, 0x18AB), (0x1C80, 0x1CC0), (0x1D00, 0x1DC0), (0x1E00, 0x1F00), (0x1F00, 0x2000),
    (0x2070, 0x20A0), (0x2100, 0x2190), (0x2190, 0x2400), (0x2460, 0x2500), (0x2500, 0x2600), (0x2600, 0x27C0),
    (0x2C00, 0x2C60), (0x2C60, 0x2D30), (0x2D30, 0x2E00), (0x2E80, 0x2FD6), (0x3000, 0x3040), (0x3041, 0x3100),
    (0x3105, 0x3130), (0x3131, 0x318F), (0x31A0, 0x3400), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xA000, 0xA4C7),
    (0xA640, 0xA6F8), (0xA720, 0xA800), (0xAB30, 0xABC0), (0xAC00, 0xD7A4), (0xD7B0, 0xD7FC), (0xF900, 0xFB00),
    (0xFB00, 0xFB50), (0xFB50, 0xFE00), (0xFE20, 0xFE70), (0xFE70, 0xFF00), (0xFF01, 0xFFEF), (0x10000, 0x10100),
    (0x10280, 0x10380), (0x10400, 0x104B0), (0x104B0, 0x10600), (0x10C80, 0x10D00), (0x11000, 0x11080),
    (0x11700, 0x11750), (0x118A0, 0x11900), (0x12000, 0x12400), (0x13000, 0x13430), (0x16E40, 0x16E9B),
    (0x1D100, 0x1D200), (0x1D400, 0x1D800), (0x1E900, 0x1E960), (0x1EE00, 0x1EEF2), (0x1F100, 0x1F300),
    (0x20000, 0x2A6E0), (0x2A700, 0x2B740), (0x2B740, 0x2B820), (0x2B820, 0x2CEB0), (0x2CEB0, 0x2EBE1),
    (0x2F800, 0x2FA1E), (0x30000, 0x31350),
]  # fmt: skip

SPACES = "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
CONTROLS = "".join(map(chr, [*range(1, 32), *range(127, 160)])) + "\x00\xad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060"
CONTROLS += "\u2066\u2069\ufeff\ufff9\ufffb\ufffc\ufffd\U000e0001\U000e0041\U000e007f\U000e0100\u061c\u070f\u08e2\U000110bd"
EMOJI = [
    "😀", "😂", "🥰", "👍", "👍🏽", "👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️", "🇩🇪", "🇯🇵", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "❤️", "❤️‍🔥", "☺", "☺️", "✌🏿", "1️⃣", "#️⃣", "*️⃣", "👁️‍🗨️",
    "🧑🏻‍🤝‍🧑🏿", "🐈‍⬛", "🫠", "🫨", "🪭", "🫩", "🩷", "🧌", "©️", "™", "㊗️", "🀄", "🃏", "🆎", "🈁", "⌚", "⏰", "➡️", "⬛", "〰️", "☃", "🦄🌈🍕🚀",
]  # fmt: skip
CASES = "İIıiẞßΣσςǅǄǆǈǋǲŉǰΐΰևﬀﬁﬃﬅﬆᾳᾼᾈᾘᾨΩKÅſẛⅧⅷⒶⓐᎠꭰᏸᏰᲐაⴀႠ𐐀𐐨𞤀𞤢ƛɅꞋȺⱥȾⱦɐⱯʕʔˀͅͰͱϴθϐϕꙊᲈÇŁØÞÐŠŽƏӀԱ"
SPECIALS = ["<|startoftext|>", "<|endoftext|>", "<|STARTOFTEXT|>", "<|EndOfText|>", "<|endoftext|", "<|start of text|>"]
SPECIALS += ["<|ſtartoftext|>", "<|", "|>", "</w>", "<unk>", "[PAD]", "</s>", "endoftext", "<<|endoftext|>>", "!<|ENDOFTEXT|>"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M", "'lL", "'D", "'ſ", "'", "''", "’s"]
CONTRACTIONS += ["'ss", "'L", "'r", "'st", "\"'s", "`s", "ʼs", "＇s", "'\u0301s", "'\u0345s"]
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿§¶«»‹›„“”‘’–—…‰€£¥¢©®™°±×÷¬¦µ·¸´¨¯"


ENTITIES = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#x27;s", "&nbsp;", "&AMP;", "&eacute;", "&amp;lt;", "&", "&;", "&#xD800;", "&copy"]
# Where the normalisation of the tokenizers library (Unicode 9.0), its regular expressions (16.0), Python 3.11 (14.0) and newer
# versions differ: marks, letters and composites by the version that brought them.
YOUNG = [0x08D4, 0x1DFB, 0x1E000, 0x0D3B, 0x1DF9, 0x07FD, 0x08D3, 0x10D24, 0x0EBA, 0x119E0, 0x1E130, 0x1ABF, 0x1193D, 0x11938]
YOUNG += [0x0C3C, 0x1715, 0x0898, 0x10EFD, 0x1E4EC, 0x0897, 0x113CE, 0x1612F, 0x105C9, 0x1C89, 0xA7CB, 0xA7CE, 0x088F, 0x1AEB, 0x323B0]
HARD = [
    "一只猫坐在月亮上", "猫が好きです", "ネコ ねこ 猫", "東京タワー2024年", "고양이 한 마리", "แมวสีส้ม", "बिल्ली का चित्र", "قطة على القمر", "חתול על הירח",
    "кошка на луне", "γάτα ΣΤΟ ΦΕΓΓΑΡΙ", "ΟΔΥΣΣΕΥΣ", "ΣΑΣ ΑΣ. ΑΣ' Σ", "ὈΔΥΣΣΕΎΣ", "կատու", "კატა ᲙᲐᲢᲐ", "ድመት", "mèo trên mặt trăng",
    "KATZE straße STRASSE ẞ", "İstanbul ISTANBUL ıstanbul", "İ", "I\u0307", "ﬁsh ﬂy eﬃcient ﬅ", "ＡＢＣ　１２３！", "ｶﾞｷﾞｸﾞ", "Ⅷ ⅷ ½ ² ① ㊿ 𝟘 ٣ ३ 七 〇",
    "1️⃣2️⃣ #️⃣", "👩‍🚀", "👨‍👩‍👧‍👦 family", "🏳️‍🌈🏴‍☠️", "🇩🇪🇯🇵", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "❤️ ❤ ❤︎ ☺️", "👍🏽👍🏿", "cat👍dog", "a\u200bb", "a\u200cb\u200dc",
    "\ufeffcat", "a\u2060b", "a\u00adb", "soft\u00adhyphen it\u00ad's", "a\u200e\u200fb \u202ac\u202c", "a\u0007b\u0008", "\x1b[31mred\x1b[0m",
    "a\x1cb\x1db\x1ec\x1f", "a\x00b", "a\x7fb\x80c\x85d", "a\ufffdb", "\ue000\uf8ff", "\U000f0000x", "\ufffe\uffff", "a\u00a0b\u202fc\u2007d",
    "a\u1680b\u180ec\u3000d", "a\u2028b\u2029c", "  two  spaces \t tab\n\nline\r\nend ", "\u000b\u000c", "cafe\u0301 café CAFÉ CAFE\u0301",
    "a\u0323\u0302 ậ a\u0302\u0323", "\u0344 \u0340\u0341\u0343", "\u0345", "α\u0345 ᾳ ᾼ Α\u0345", "\u0f71\u0f72\u0f73",
    "\u1100\u1161\u11a8 가\u11a8 \uac00\u11a7", "Å \u212b K \u212a Ω \u2126", "豈更車", "丽\U0002f800", "'s 't 're 've 'm 'll 'd",
    "it's IT'S It'S it’s it＇s", "don't DON'T can'T", "'ſ 'S '\u017f", "''s '''t", "rock'n'roll o'clock l'amour", "'strange 'mad 'dog 'table",
    "x's5 5's", "’s ʼs `s", "<|startoftext|>", "<|endoftext|>", "a<|endoftext|>b", "<|STARTOFTEXT|> <|EndOfText|>!", "!<|endoftext|>!",
    "<|endoftext|><|endoftext|>", "<|ſtartoftext|>", "<|endoftext", "< | endoftext | >", "<|end\u200doftext|>", "<|endoftext|>'s", "</w> a</w> Ġ ġ Ċ",
    "schÃ¶n sch\u00c3\u00b6n â€™", "“quotes” ‘single’ „low“ «guillemets»", "a — b – c … d", "(a:1.2) [b|c] <lora:x:0.5> {d}", "f/1.8 35mm 4k 8K 1:1 16:9",
    "e = mc² H₂O 10⁻³", "1,000,000.50 $5 €7 ¥9 ₿1", "3.14159265358979", "000123", "https://example.org/a?b=c&d=%20#e", "user@example.org #tag @name",
    "C++ C# .NET", "ǅ ǆ Ǆ ǈ", "ŉ ǰ ΐ ΰ և ẖ ẗ", "ſ ẛ ẞ", "Ꭰꭰ Ᏸᏸ", "𐐀𐐨 𞤀𞤢", "Ⱥ ⱥ Ⱦ ⱦ", "ᾈ ᾀ ᾨ", "ϴ ϐ ϕ", "Ⓐⓐ", "Ａａ", "𝐀𝐚 𝓐 𝔸", "ªº ᵃ ʰ", "ʕ ʔ ǃ", "ƛ Ɤ ꟋꟌ",
    "a" * 300, "ab" * 200, "ß" * 100, "中" * 100, "🙂" * 60, "é" * 150, "e\u0301" * 100, "!" * 300, "1" * 100, "'" * 80, "\u0301" * 60,
    "a" + "\u0301\u0323" * 40, " " * 200, "<|endoftext|>" * 20,
]  # fmt: skip


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.marks = [chr(c) for c in range(0x110000) if unicodedata.combining(chr(c))]
        self.composed = [
            chr(c)
            for c in range(0x110000)
            if unicodedata.decomposition(chr(c)) and not unicodedata.decomposition(chr(c)).startswith("<")
        ]
        self.unassigned = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Cn"]
        self.assigned = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]

    def pick(self, items):
        return items[self.random.randrange(len(items))]

    def some(self, low, high, make):
        return [make() for _ in range(self.random.randint(low, high))]

    def word(self):
        word = self.pick(WORDS)
        return self.pick([word, word, word, word.upper(), word.capitalize(), word.swapcase(), word + self.pick(",.;:!?")])

    def prompt(self):
        return " ".join(self.some(3, 14, self.word))

    def script(self):
        low, high = self.pick(BLOCKS)
        word = lambda: "".join(self.some(1, 7, lambda: chr(self.random.randrange(low, high))))
        return self.pick([" ", " ", "", ", ", "-"]).join(self.some(1, 5, word))

    def emoji(self):
        return "".join(self.some(1, 6, lambda: self.pick([*EMOJI, " ", self.pick(WORDS), "\u200d", "\ufe0f", "\U0001f3fd"])))

    def accents(self):
        form = self.pick(["NFC", "NFD", "NFKC", "NFKD"])
        words = ["Crème brûlée", "naïve", "Ångström", "Việt Nam", "Zażółć gęślą jaźń", "ÅÉÎÕÜ", "한국어", "がぎぐげご", "Ωμέγα", "ё й Й"]
        text = " ".join(self.some(1, 3, lambda: self.pick([*words, self.pick(self.composed), self.word()])))
        return unicodedata.normalize(form, text)

    def marked(self):
        def piece():
            kind = self.random.random()
            if kind < 0.45:
                return self.pick(self.marks)
            if kind < 0.6:
                return self.pick(self.composed)
            if kind < 0.7:
                return chr(self.random.choice([*range(0x1100, 0x1200), *range(0xAC00, 0xAC20)]))
            if kind < 0.8:
                return unicodedata.normalize("NFD", self.pick(self.composed))
            return self.pick("aeiou AEIOU\u0345\u0f73\u0f75\u0f81\u0344\u0340<>=")

        return "".join(self.some(1, 12, piece))

    def spaced(self):
        return "".join(self.some(2, 8, lambda: self.pick([self.word(), self.pick(SPACES), self.pick(SPACES) * 3])))

    def controlled(self):
        return "".join(self.some(2, 10, lambda: self.pick([self.word(), self.pick(CONTROLS), self.pick("aΣ1!")])))

    def numbers(self):
        digits = lambda: "".join(self.some(1, 25, lambda: self.pick("0123456789")))
        others = lambda: "".join(self.some(1, 5, lambda: self.pick("٠١٢३४५六七Ⅷ½¼²³①⑩㊿𝟘𝟙๓፲〇")))
        date = lambda: f"{self.random.randint(1, 31)}.{self.random.randint(1, 12)}.{self.random.randint(1900, 2100)}"
        price = lambda: f"${self.random.randint(1, 10**7):,}.{self.random.randint(0, 99):02}"
        return " ".join(self.some(1, 3, lambda: self.pick([digits, others, date, price])()))

    def contracted(self):
        return "".join(self.some(1, 8, lambda: self.pick([self.pick(CONTRACTIONS), self.pick(WORDS), "1", " ", "!", "é"])))

    def special(self):
        return "".join(self.some(1, 5, lambda: self.pick([self.pick(SPECIALS), self.word(), " ", "Σ", "e\u0301", "\u0301"])))

    def cased(self):
        return "".join(self.some(1, 14, lambda: self.pick([self.pick(CASES), self.pick(CASES), self.pick("aZ .'\u0301\u00ad:1")])))

    def sigmas(self):
        return "".join(self.some(2, 12, lambda: self.pick(["Σ", "Σ", "Σ", "Α", "a", " ", "'", ".", "1", "\u0345", "ʰ", "\u0301", "ʕ", "\U0001171e"])))

    def odd(self):
        def piece():
            kind = self.random.random()
            if kind < 0.25:
                return self.pick(self.unassigned)
            if kind < 0.4:
                return chr(self.random.choice([0xE000, 0xF8FF, 0xF0000, 0x10FFFD, 0xFFFE, 0xFFFF, 0x1FFFE, 0xFDD0, 0x378]))
            if kind < 0.8:
                return self.pick(self.assigned)
            return self.pick(["a", "Z", " ", "ab", "!"])

        return "".join(self.some(1, 12, piece))

    def marked_up(self):
        weights = lambda: f"({self.word()} {self.word()}:{self.random.randint(1, 20) / 10})"
        form = lambda: self.pick([weights, lambda: f"[{self.word()}|{self.word()}]", lambda: f"<lora:{self.word()}:0.{self.random.randint(1, 9)}>"])()
        link = lambda: f"https://example.org/{self.pick(WORDS)}?q={self.random.randint(0, 999)}&x=%20#{self.pick(WORDS)}"
        return ", ".join(self.some(1, 4, lambda: self.pick([form, form, link, self.word])()))

    def punctuated(self):
        return "".join(self.some(2, 16, lambda: self.pick([self.pick(PUNCTUATION), self.pick(PUNCTUATION), self.pick(["a", "B", "1", " "])])))

    def long(self):
        kind = self.random.randrange(8)
        if kind == 0:
            return self.pick("aZé1中!Σ한ｱ🙂") * 500
        alphabet = [
            "abcdefghijklmnopqrstuvwxyz", "ab", "ETAOINSHRDLU", "aäàéß", "<|endoftext|>", "0123456789", "абвгдеж",
        ][kind - 1]  # fmt: skip
        return "".join(self.pick(alphabet) for _ in range(500)) + self.pick(["", " the end", "!"])

    def young(self):
        piece = lambda: self.pick([chr(self.pick(YOUNG)), chr(self.pick(YOUNG)), self.pick(self.marks), self.pick("aΣ1! \u4e00")])
        return "".join(self.some(1, 10, piece))

    def entities(self):
        piece = lambda: self.pick([self.pick(ENTITIES), self.pick(ENTITIES), self.word(), " ", self.pick(CONTRACTIONS)])
        return "".join(self.some(1, 8, piece))

    def scattered(self):
        places = [(0, 0x3000), (0x3000, 0xD800), (0xE000, 0x110000)]
        return "".join(self.some(1, 20, lambda: chr(self.random.randrange(*self.pick(places)))))

    def mixture(self):
        parts = [self.script, self.emoji, self.accents, self.marked, self.spaced, self.numbers, self.contracted, self.special]
        return self.pick(["", " "]).join(self.pick(parts)() for _ in range(2))


def hard():
    maker = Maker(20261126)
    kinds = [maker.young, maker.scattered, maker.entities, maker.controlled, maker.emoji, maker.sigmas, maker.cased]
    return HARD + [kinds[number % len(kinds)]() for number in range(HARD_LINES - len(HARD))]


def lines():
    maker = Maker(20240229)
    kinds = [maker.prompt] * 3 + [maker.script] * 5 + [maker.emoji, maker.accents, maker.marked, maker.spaced]
    kinds += [maker.controlled, maker.numbers, maker.contracted, maker.special, maker.cased, maker.sigmas, maker.odd]
    kinds += [maker.marked_up, maker.punctuated, maker.mixture]
    text = ["", " ", "\n", "a photo of an astronaut riding a horse on mars", "!", "\u0345", "Σ", "ΑΣ", "\ufffd"]
    for number in range(len(text), LINES):
        text.append(maker.long() if number % 75 == 0 else kinds[number % len(kinds)]())
    return hard() + text
