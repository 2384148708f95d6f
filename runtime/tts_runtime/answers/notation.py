r"""Mathematics in Unicode, written as LaTeX: `2⁴` is `2^{4}`, `√12` is `\sqrt{12}`, `１２` is `12`.

Superscripts, subscripts, roots and fractions are read before the compatibility normalisation
(NFKC), which would turn `2⁴` into `24`.
"""

import re
import unicodedata

from tts_runtime.answers.latex import matching

_SIGNS = {
    **dict.fromkeys("−–—‐‑‒―﹣", "-"),
    **dict.fromkeys("×✕✖", r"\times "),
    **dict.fromkeys("·⋅∙•", r"\cdot "),
    **dict.fromkeys("÷⁄∕", "/"),
    **dict.fromkeys("∗＊", "*"),
    **dict.fromkeys("°º˚", r"^\circ "),
    **dict.fromkeys("∞", r"\infty "),
    **dict.fromkeys("≤⩽≦", r"\le "),
    **dict.fromkeys("≥⩾≧", r"\ge "),
    **dict.fromkeys("≠", r"\ne "),
    **dict.fromkeys("≈≃≅≒", r"\approx "),
    **dict.fromkeys("⟨〈", "("),
    **dict.fromkeys("⟩〉", ")"),
    **dict.fromkeys("…⋯", r"\ldots "),
    **dict.fromkeys("、；،٬", ","),
    **dict.fromkeys("ħℏ", r"\hbar "),
    "٫": ".",
    "٪": "%",
    **dict.fromkeys("′’", "'"),
    **dict.fromkeys("∣｜", "|"),
    **dict.fromkeys("∖", r"\setminus "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
    "≡": r"\equiv ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "∀": r"\forall ",
    "∃": r"\exists ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "∠": r"\angle ",
    "∑": r"\sum ",
    "∏": r"\prod ",
    "∫": r"\int ",
    "→": r"\to ",
    "⇒": r"\Rightarrow ",
    "。": ".",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
}
_ALPHABET = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
for _offset, _name in enumerate(_ALPHABET):
    _small = 0x3B1 + _offset + (_offset > 16)  # the final sigma stands between rho and sigma
    _SIGNS[chr(_small)] = f"\\{_name} "
_SIGNS |= {
    letter: f"\\{name} "
    for letter, name in {
        "Γ": "Gamma",
        "Δ": "Delta",
        "Θ": "Theta",
        "Λ": "Lambda",
        "Ξ": "Xi",
        "Π": "Pi",
        "Σ": "Sigma",
        "Φ": "Phi",
        "Ψ": "Psi",
        "Ω": "Omega",
    }.items()
}
_TABLE = str.maketrans(_SIGNS)
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}
_RADICAND = re.compile(r"[0-9]+(?:\.[0-9]+)?|\\[A-Za-z]+|[A-Za-z]")
# Written with a sign, `5m²` is an area; written `5m^2` it may be a product.
_AREA = re.compile(r"(?<=[0-9])\s?([cdkm]?m)(?=[²³])")
_SLASHED = re.compile(r"(?<![\w)}])\^\{([0-9]+)\}[⁄/∕]_\{([0-9]+)\}")
# The wide point has its gap in itself; between digits it is a decimal point.
_WIDE_POINT = re.compile(r"(?<=[^\W\d_])．|．(?!\d)")
_ROOT_OF = re.compile(r"(?<![\w)}])([³⁴])√")
_RING = re.compile(r"(?<=[0-9])\s?∘")  # of a composition elsewhere
_MARKS = "™℠ªº"  # superscripts in name only


def to_latex(text: str) -> str:
    """The text with its Unicode mathematics in ASCII; other scripts keep their letters."""
    if text.isascii():
        return text
    text = _ROOT_OF.sub(lambda match: "∛" if match[1] == "³" else "∜", text)
    text = _SLASHED.sub(r"\\frac{\1}{\2}", _scripts(_AREA.sub(r" \\text{\1}", text)))
    text = _RING.sub("°", _WIDE_POINT.sub(". ", text)).translate(_TABLE)
    text = unicodedata.normalize("NFKC", text).translate(_TABLE)
    if not text.isascii():
        text = "".join(map(_digit, text))
    return roots(text)


def _scripts(text: str) -> str:
    """Runs of superscripts and subscripts as `^{...}` and `_{...}`, fractions as `\\frac`."""
    pieces: list[str] = []
    run, base = "", ""
    for character in text:
        decomposition = unicodedata.decomposition(character)
        kind = decomposition.split(" ", 1)[0] if decomposition else ""
        level = {"<super>": "^", "<sub>": "_"}.get(kind, "") if character not in _MARKS else ""
        if level != run:
            if run:
                pieces.append(f"{run}{{{base}}}")
            run, base = level, ""
        if level:
            base += unicodedata.normalize("NFKC", character).translate(_TABLE).strip()
        elif kind == "<fraction>" and unicodedata.numeric(character, 0) > 0:
            top, _, bottom = unicodedata.normalize("NFKC", character).partition("⁄")
            pieces.append(rf"\frac{{{top}}}{{{bottom}}}" if bottom else character)
        else:
            pieces.append(character)
    if run:
        pieces.append(f"{run}{{{base}}}")
    return "".join(pieces)


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def roots(text: str) -> str:
    r"""Root signs, `\sqrt(2)` and `sqrt(2)` with their radicand in braces."""
    for sign, command in _ROOTS.items():
        text = text.replace(sign, command + "\x00") if sign in text else text
    if "sqrt" not in text:
        return text
    pieces: list[str] = []
    position = 0
    for match in re.finditer(r"(?:(?<!\\)\\|(?<![A-Za-z\\]))sqrt(\[[^\[\]]*\])?(\x00)?\s*", text):
        if match.start() < position:
            continue
        pieces.append(text[position : match.start()] + r"\sqrt" + (match[1] or ""))
        position = match.end()
        close = matching(text, position) if text[position : position + 1] == "(" else None
        if close is not None:
            pieces.append("{" + roots(text[position + 1 : close]) + "}")
            position = close + 1
        elif match[2]:
            radicand = _RADICAND.match(text, position)
            if radicand is not None:
                pieces.append("{" + radicand[0].strip() + "}")
                position = radicand.end()
        elif text[position : position + 1] not in ("{", ""):
            pieces.append(" ")
    pieces.append(text[position:])
    return "".join(pieces)
