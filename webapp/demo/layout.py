"""Layout: the frame and the blocks the demo's letters are set from.

Tables and inline styles, because that is what mail programs draw alike; the style sheet in the head only narrows the
letter for telephones and darkens it for those who read in the dark, and a program that ignores it loses nothing.
"""

SANS = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
ACCENT, ACCENT_DARK, INK, SOFT, TINT, LINE, GROUND = (
    "#0f6b63", "#5fd0c3", "#1c2a33", "#5b6b76", "#eef6f5", "#dfe7ea", "#f2f5f6",
)  # fmt: skip
CENTERED = 'role="presentation" cellpadding="0" cellspacing="0" border="0"'

STYLE = f"""\
    :root {{ color-scheme: light dark; supported-color-schemes: light dark; }}
    @media (max-width: 620px) {{
      .wide {{ width: 100% !important; }}
      .pad {{ padding-left: 22px !important; padding-right: 22px !important; }}
      .col {{ display: block !important; width: 100% !important; padding-right: 0 !important; }}
      .title {{ font-size: 24px !important; line-height: 31px !important; }}
    }}
    @media (prefers-color-scheme: dark) {{
      .ground {{ background-color: #0f1518 !important; }}
      .card {{ background-color: #172026 !important; }}
      .ink {{ color: #e9eff2 !important; }}
      .soft {{ color: #a3b1ba !important; }}
      .tint {{ background-color: #1b2c2e !important; }}
      .line {{ border-color: #2b383f !important; }}
      .link {{ color: {ACCENT_DARK} !important; }}
    }}"""

FRAME = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="supported-color-schemes" content="light dark">
  <title>[title]</title>
  <style>
[style]
  </style>
</head>
<body class="ground" style="margin:0;padding:0;background-color:[ground];-webkit-text-size-adjust:100%;">
<table [table] width="100%" class="ground" style="background-color:[ground];">
<tr><td align="center" style="padding:28px 12px;">
  <table [table] width="600" class="card wide"
    style="width:600px;max-width:100%;background-color:#fff;border-radius:12px;">
  <tr><td class="pad" style="padding:26px 40px 0;">
    <p class="link" style="margin:0;font:700 17px/24px [sans];color:[accent];">&#9673;&nbsp; {{ company_name }}</p>
  </td></tr>
[blocks]
  <tr><td class="pad" style="padding:10px 40px 34px;">
    <p class="ink" style="margin:0;font:400 16px/26px [sans];color:[ink];">[signature]</p>
  </td></tr>
  </table>
  <table [table] width="600" class="wide" style="width:600px;max-width:100%;">
  <tr><td align="center" class="pad" style="padding:22px 40px 8px;">
    <p class="soft" style="margin:0;font:400 12px/20px [sans];color:[soft];">
      [because]<br>
      {{ company_name }} &middot; 100 Example Plaza, Chicago, IL 60601<br>
      <a href="{{ unsubscribe_url }}" class="soft" style="color:[soft];text-decoration:underline;">Unsubscribe</a>
      &nbsp;&middot;&nbsp;
      <a href="{{ view_url }}" class="soft" style="color:[soft];text-decoration:underline;">View in your browser</a>
    </p>
  </td></tr>
  </table>
</td></tr>
</table>
</body>
</html>
"""


def page(title: str, blocks: list[str], signature: str, because: str) -> str:
    """Returns a whole letter. signature: HTML at the end; because: why they get this, in the small print."""
    # Square brackets and not str.format: the letter is full of braces of its own.
    filled = FRAME.replace("[blocks]", "\n".join(blocks)).replace("[style]", STYLE).replace("[table]", CENTERED)
    for slot, value in {
        "title": title, "signature": signature, "because": because, "sans": SANS, "accent": ACCENT, "ink": INK,
        "soft": SOFT, "ground": GROUND,
    }.items():  # fmt: skip
        filled = filled.replace(f"[{slot}]", value)
    return filled


def _row(inner: str, padding: str) -> str:
    return f'  <tr><td class="pad" style="padding:{padding};">\n{inner}\n  </td></tr>'


def title(text: str) -> str:
    """Returns the headline."""
    style = f"margin:0;font:700 28px/36px {SANS};color:{INK};letter-spacing:-0.2px;"
    return _row(f'    <h1 class="ink title" style="{style}">{text}</h1>', "22px 40px 4px")


def paragraphs(*texts: str) -> str:
    """Returns plain paragraphs; a text may hold HTML and tokens."""
    style = f"margin:0 0 14px;font:400 16px/26px {SANS};color:{INK};"
    return _row("\n".join(f'    <p class="ink" style="{style}">{text}</p>' for text in texts), "12px 40px 0")


def link(words: str, url: str) -> str:
    """Returns a link inside a text."""
    return f'<a href="{url}" class="link" style="color:{ACCENT};text-decoration:underline;">{words}</a>'


def button(words: str, url: str) -> str:
    """Returns the one thing to do."""
    style = (
        f"display:inline-block;padding:14px 28px;font:600 16px/20px {SANS};color:#ffffff;text-decoration:none;"
        f"background-color:{ACCENT};border-radius:8px;"
    )
    cell = f'<td bgcolor="{ACCENT}" style="border-radius:8px;"><a href="{url}" style="{style}">{words}</a></td>'
    return _row(f"    <table {CENTERED}><tr>{cell}</tr></table>", "10px 40px 22px")


def panel(lines: dict[str, str]) -> str:
    """Returns a tinted box of facts: what -> value."""
    label = f"padding:5px 16px 5px 0;font:400 14px/22px {SANS};color:{SOFT};white-space:nowrap;"
    value = f"padding:5px 0;font:600 15px/22px {SANS};color:{INK};"
    rows = "\n".join(
        f'      <tr><td class="soft" style="{label}">{what} </td><td class="ink" style="{value}">{said}</td></tr>'
        for what, said in lines.items()
    )
    box = f'<td class="tint" style="background-color:{TINT};border-radius:10px;padding:14px 20px;">'
    return _row(
        f'    <table {CENTERED} width="100%"><tr>{box}\n'
        f"    <table {CENTERED}>\n{rows}\n    </table></td></tr></table>", "8px 40px 14px",
    )  # fmt: skip


def stories(*stories: tuple[str, str, str, str]) -> str:
    """Returns pieces under one another, a line between them: (headline, text, words of the link, its address)."""
    pieces = []
    for headline, text, words, url in stories:
        pieces.append(
            f'    <div class="line" style="border-top:1px solid {LINE};padding:20px 0 8px;">\n'
            f'      <h2 class="ink" style="margin:0 0 6px;font:700 19px/27px {SANS};color:{INK};">{headline}</h2>\n'
            f'      <p class="ink" style="margin:0 0 10px;font:400 15px/24px {SANS};color:{INK};">{text}</p>\n'
            f'      <p style="margin:0 0 10px;font:600 15px/22px {SANS};">{link(words, url)}</p>\n    </div>'
        )
    return _row("\n".join(pieces), "8px 40px 6px")


def columns(*columns: tuple[str, str]) -> str:
    """Returns short pieces side by side, on a telephone under one another: (headline, text)."""
    width = 100 // len(columns)
    cells = "\n".join(
        f'      <td class="col" width="{width}%" valign="top" style="padding:0 18px 16px 0;">\n'
        f'        <p class="link" style="margin:0 0 4px;font:700 15px/22px {SANS};color:{ACCENT};">{headline}</p>\n'
        f'        <p class="soft" style="margin:0;font:400 14px/22px {SANS};color:{SOFT};">{text}</p>\n      </td>'
        for headline, text in columns
    )
    return _row(f'    <table {CENTERED} width="100%"><tr>\n{cells}\n    </tr></table>', "14px 40px 0")
