"""The plain-text part of a message, made from its HTML where nobody wrote one."""

import re

import html2text

TEMPLATING = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)
# Stand-ins for what the template engine reads: private letters that no mark-up means anything to.
OPEN, CLOSE = "\ue000", "\ue001"
STAND_IN = re.compile(f"{OPEN}(\\d+){CLOSE}")
HEADING = re.compile(r"(</?)h[1-6]\b", re.I)


def html_to_text(html: str) -> str:
    """Returns readable plain text: links as "words (address)", no markup, tokens untouched."""
    kept: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"{OPEN}{len(kept) - 1}{CLOSE}"

    maker = html2text.HTML2Text(bodywidth=0)
    maker.ignore_images = maker.ignore_emphasis = maker.ignore_tables = True
    maker.single_line_break = False
    maker.links_each_paragraph = False
    maker.inline_links = True
    maker.protect_links = True
    maker.use_automatic_links = False
    maker.escape_snob = False
    maker.unicode_snob = True
    # Cells of a row stand apart; headings are paragraphs, because a "#" in front means nothing outside Markdown.
    bare = html.replace(OPEN, "").replace(CLOSE, "")
    spaced = TEMPLATING.sub(put_aside, bare).replace("</td>", " </td>").replace("</th>", " </th>")
    text = maker.handle(HEADING.sub(r"\1p", spaced))
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    lines = [
        _link_words(line.lstrip().replace("\\-", "-").replace("\\.", ".").replace("\\+", "+")).rstrip()
        for line in text.splitlines()
    ]
    return STAND_IN.sub(lambda match: kept[int(match[1])], "\n".join(lines).strip()) + "\n"


def _link_words(line: str) -> str:
    out, rest = "", line
    while (start := rest.find("](<")) >= 0:
        open_bracket, end = rest.rfind("[", 0, start), rest.find(">)", start)
        if open_bracket < 0 or end < 0:
            break
        words, address = rest[open_bracket + 1 : start], rest[start + 3 : end].replace("\\(", "(").replace("\\)", ")")
        out += rest[:open_bracket] + (address if words == address else f"{words} ({address})")
        rest = rest[end + 2 :]
    return out + rest
