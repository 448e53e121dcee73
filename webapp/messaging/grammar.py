"""What of the template language a message may use: enough for a letter, and nothing that could grow without bound.

minijinja counts steps, not characters, and a process that runs out of memory is gone with everybody's mail. So what
multiplies is not there at all (no sets, macros, calls, products, filters that pad or repeat), and long plain text is
laid out in short pieces, each of which costs a step of fuel.
"""

import re

TAGS = {"if", "elif", "else", "endif", "for", "endfor"}
FILTERS = {
    "abs", "capitalize", "d", "date", "default", "e", "escape", "first", "float", "int", "join", "last", "length", "list",
    "lower", "max", "min", "money", "reverse", "round", "safe", "sort", "string", "sum", "title", "trim", "unique", "upper",
    "urlencode",
}  # fmt: skip
CODE_LIMIT = 1000  # characters between {{ and }}
QUOTED = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
CODE = re.compile(rf"""\{{#.*?#\}}|\{{\{{((?:{QUOTED}|[^"'])*?)\}}\}}|\{{%((?:{QUOTED}|[^"'])*?)%\}}""", re.S)
FILTER = re.compile(r"\|\s*(\w+)\s*\(?")
CALL = re.compile(r"(\w+|[)\]])\s*\(")
WORDS = {"and", "elif", "else", "if", "in", "is", "not", "or"}
# Never behind a "{", which would begin something.
PIECE = re.compile(r".{80,240}?[^\s{](?=\S)|.{240}[^{]", re.S)


def forbidden(body: str) -> str | None:
    """Returns what a body that can be parsed uses and may not, in words; None if there is nothing of it."""
    for match in CODE.finditer(body):
        code = match[1] if match[1] is not None else match[2]
        if code is not None and (problem := _of_code(code, is_tag=match[2] is not None)):
            return problem
    return None


def _of_code(code: str, is_tag: bool) -> str | None:
    if len(code) > CODE_LIMIT:
        return f"This is too long for one token: {code.strip()[:40]}…"
    bare = re.sub(QUOTED, "''", code, flags=re.S)
    word = re.split(r"\W", bare.strip("-+ \t\r\n"), maxsplit=1)[0]
    if is_tag and word not in TAGS:
        return f"{{% {word} %}} cannot be used in a message."
    for sign in ("*", "{", "}"):
        if sign in bare:
            return f"“{sign}” cannot be used inside a token."
    for name in FILTER.findall(bare):
        if name not in FILTERS:
            return f"There is no filter “{name}”."
    for name in CALL.findall(FILTER.sub("", bare)):
        if name not in WORDS and not (is_tag and name == "for"):
            return f"Nothing can be called in a message: {name}(…)."
    return "“recursive” cannot be used in a message." if is_tag and re.search(r"\brecursive\b", bare) else None


def in_pieces(body: str) -> str:
    """Returns the same template with its plain text in short pieces, parted by empty comments."""
    out, at, cut = [], 0, False
    for match in CODE.finditer(body):
        text = body[at : match.start()].lstrip() if cut else body[at : match.start()]
        # A "-" swallows the spaces beside it; done here, because a piece would stop it.
        out += [PIECE.sub(r"\g<0>{##}", text.rstrip() if match[0][2] == "-" else text), match[0]]
        at, cut = match.end(), match[0][-3] == "-"
    rest = body[at:].lstrip() if cut else body[at:]
    return "".join([*out, PIECE.sub(r"\g<0>{##}", rest)])
