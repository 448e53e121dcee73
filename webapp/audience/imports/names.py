"""One cell with a person's whole name to first name and last name."""

import re

TITLES = {"mr", "mrs", "ms", "miss", "dr", "prof", "herr", "frau", "sir", "shri", "smt", "mx"}
ENDINGS = {"jr", "sr", "ii", "iii", "iv", "md", "phd", "esq"}
PARTICLES = {
    "van", "von", "der", "den", "de", "del", "della", "di", "da", "dos", "du", "la", "le", "bin", "ibn", "al", "el",
    "zu", "zum", "zur", "ter", "ten", "st",
}  # fmt: skip


def split_name(text: str) -> tuple[str | None, str | None]:
    """Returns (first name, last name) of "Last, First" or "First Last"; a single word is a first name."""
    last, comma, first = text.partition(",")
    if comma and _bare(first) not in ENDINGS:
        return _without_titles(first.replace(",", " ")), " ".join(last.split()) or None
    words = (_without_titles(text.replace(",", " ")) or "").split()
    if len(words) < 2:
        return (words[0] if words else None), None
    start = len(words) - 1
    while start > 1 and _bare(words[start]) in ENDINGS:
        start -= 1
    while start > 1 and words[start - 1].lower() in PARTICLES:
        start -= 1
    return " ".join(words[:start]), " ".join(words[start:])


def _without_titles(text: str) -> str | None:
    words = text.split()
    while len(words) > 1 and _bare(words[0]) in TITLES:
        words.pop(0)
    return " ".join(words) or None


def _bare(word: str) -> str:
    return re.sub(r"[^\w]", "", word).lower()
