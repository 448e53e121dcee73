"""What a person wrote in an answer, without what their mail program put below it."""

import re

from webapp.messaging.mail_parts import Parts

LIMIT = 10_000  # characters
# Where the quoted message begins, in the words of the usual programs.
QUOTED = re.compile(
    r"^(?:>|-{2,} ?(?:original message|forwarded message|urspr\w+ nachricht|message d'origine|mensaje original)|_{20,}\s*$|"
    r"(?:on|am|le|el|il|op) [^\n]{4,200}?\b(?:wrote|schrieb|a [ée]crit|escribi[óo]|ha scritto|schreef)\b[^\n]{0,80}:?\s*$|"
    r"(?:from|von|de|da|van): [^\n]*\n(?:(?:sent|gesendet|envoy[ée]|enviado|inviato|verzonden|to|an|date|datum)\b[^\n]*:))",
    re.I | re.M,
)
# A line broken after the address: "On Monday Ada <a@b.example>\nwrote:".
BROKEN = re.compile(
    r"^(?:on|am|le|el|il|op) [^\n]{4,200}\n[^\n]{0,80}\b(?:wrote|schrieb|a [ée]crit|escribi[óo]):\s*$", re.I | re.M
)
SIGNATURE = re.compile(r"^-- ?$", re.M)


def written(parts: Parts) -> str:
    """Returns the text above the quoted message and the signature; all of it where nothing stands above."""
    text = parts.says.replace("\r\n", "\n")
    ends = [found.start() for pattern in (QUOTED, BROKEN, SIGNATURE) if (found := pattern.search(text))]
    above = text[: min(ends, default=len(text))].strip()
    return (above or text.strip())[:LIMIT]
