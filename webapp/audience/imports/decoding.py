"""Bytes to text: which encoding an export was written in."""

import codecs
import re

from charset_normalizer import from_bytes

from webapp.platform.errors import Invalid

SAMPLE = 65_536  # characters looked at to tell text from something else
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What old Windows programs write, the likeliest first: the order decides where nothing else does.
OLD = ("cp1252", "cp1250", "cp1254", "cp1251", "cp1253", "shift_jis", "gb18030", "big5", "euc_kr")
# Inside a word, Mac and DOS have their accented letters where Windows has quotes, dashes and the euro.
NOT_WINDOWS = re.compile(rb"(?<=[A-Za-z])[\x80-\x90\x93-\x9f](?=[a-z])")
USUAL = frozenset("äöüßéèêàâçñáíóúôîÄÖÜÉ")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]")
NOT_TEXT = "This is not a table we can read. Save it as CSV or as an Excel workbook (.xlsx) and try again."


def decode(content: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Returns the text and the name of its encoding. encoding: what it is known to be. Raises Invalid at `file`."""
    encoding = encoding or encoding_of(content)
    try:
        # A few broken bytes cost a few letters and not the file.
        text = content.decode(encoding, "replace")
    except (LookupError, UnicodeError):
        raise Invalid({"file": NOT_TEXT}) from None
    _refuse_junk(text)
    return text.removeprefix("\ufeff"), encoding


def encoding_of(content: bytes) -> str:
    """Returns the name of the encoding the bytes are most likely in."""
    for mark, name in BOMS:
        if content.startswith(mark):
            return name
    wide = _wide(content[:4000])
    if wide:
        return wide
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return _old(content)


def _wide(head: bytes) -> str | None:
    """UTF-16 without its mark: every other byte of Western text is zero."""
    half = max(1, len(head) // 2)
    even, odd = head[0::2].count(0) / half, head[1::2].count(0) / half
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    if even > 0.4 and odd < 0.1:
        return "utf-16-be"
    return None


def _old(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if sum(character > "\x7f" for character in text) > 20 * broken:
        return "utf-8"
    lines = b"\n".join(line for line in content.splitlines() if not line.isascii())[:20_000]
    if len(NOT_WINDOWS.findall(lines)) > len(re.findall(rb"[\x80-\xff]", lines)) / 2:
        return max(("mac_roman", "cp850"), key=lambda name: sum(c in USUAL for c in lines.decode(name, "replace")))
    found = {match.encoding: match for match in from_bytes(lines, cp_isolation=list(OLD), threshold=0.5)}
    if not found:
        return "cp1252"
    likeliest = min(found.values(), key=lambda match: (match.chaos, -match.coherence, OLD.index(match.encoding)))
    if likeliest.encoding == "cp1250" and str(likeliest) == lines.decode("cp1252", "replace"):
        # The two agree on every letter that occurs here, so say the usual one.
        return "cp1252"
    return likeliest.encoding


def _refuse_junk(text: str) -> None:
    sample = text[:SAMPLE]
    if not sample.strip():
        raise Invalid({"file": "The file is empty."})
    if len(CONTROL.findall(sample)) + sample.count("\ufffd") > len(sample) / 50:
        raise Invalid({"file": NOT_TEXT})
