"""The plain-text part of a message, made from its HTML where nobody wrote one."""

import html2text


def html_to_text(html: str) -> str:
    """Returns readable plain text: links as "words (address)", no markup, tokens untouched."""
    maker = html2text.HTML2Text(bodywidth=0)
    maker.ignore_images = maker.ignore_emphasis = maker.ignore_tables = True
    maker.single_line_break = False
    maker.links_each_paragraph = False
    maker.inline_links = True
    maker.protect_links = True
    maker.escape_snob = False
    maker.unicode_snob = True
    # Cells of a row stand apart; links whose words end a sentence keep its full stop outside the address.
    text = (
        maker.handle(html.replace("</td>", " </td>").replace("</th>", " </th>"))
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
    )
    lines = [
        _link_words(line.lstrip("# ").replace("\\-", "-").replace("\\.", ".")).rstrip() for line in text.splitlines()
    ]
    return "\n".join(lines).strip() + "\n"


def _link_words(line: str) -> str:
    out, rest = "", line
    while (start := rest.find("](<")) >= 0:
        open_bracket, end = rest.rfind("[", 0, start), rest.find(">)", start)
        if open_bracket < 0 or end < 0:
            break
        words, address = rest[open_bracket + 1 : start], rest[start + 3 : end]
        out += rest[:open_bracket] + (address if words == address else f"{words} ({address})")
        rest = rest[end + 2 :]
    return out + rest
