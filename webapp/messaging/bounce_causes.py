"""Why a message came back: whether the address is dead (hard) or only this message was not taken (soft).

Codes are those of RFC 3463 and RFC 5321; where they say too little, the words beside them decide. In doubt about a dead
address it is not dead: a soft bounce is looked at again with the next message, a hard one bars the address.
"""

import re

# Of all the codes only these say that the address itself is no good (RFC 3463, section 3.2; 5.1.10 is Microsoft's
# "recipient not found", 5.4.4 a domain without a way to it).
DEAD = ("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4")
# Say no more than "it failed"; some systems write them over every failure.
VAGUE = re.compile(r"[45]\.0\.\d+|5\.3\.0|5\.5\.[0-9]+|5\.9\.\d+")
STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# In running text only where it stands as a code does, for there are addresses of machines and versions of programs.
STATUS_IN_TEXT = re.compile(r"(?:(?:^|\s)[45]\d\d[ :-]+|\(?#|--\s|error message )([45]\.[0-7]\.\d{1,3})(?![\d.])", re.M)
REPLY = re.compile(
    r"(?:said:?|error:?|replied:?|returned:?|response:?|smtp;|^|>>>)\s*([45]\d\d)(?=[\s:-]|$)", re.I | re.M
)
# RFC 5321: these replies speak of the mailbox, the other fives of the message, the server or the session.
OF_THE_MAILBOX = ("550", "551", "553")

FULL = re.compile(
    r"quota|(?:mail ?)?(?:box|folder) (?:is |was )?(?:almost )?full|full mailbox|too much mail|space not enough|"
    r"(?:insufficient|not enough|out of) (?:disk|storage|system|mail|space)|exceed\w* (?:the |its |his |their )?"
    r"(?:storage|mailbox|size|maximum|max)|over ?(?:disk|storage)? ?limit|bo[iî]te .{0,30}pleine|postfach .{0,20}voll|"
    r"buz[oó]n .{0,20}lleno|casella .{0,20}piena|переполнен",
    re.I,
)
BLOCKED = re.compile(
    r"spam|unsolicited|black ?list|block ?list|been blocked|is blocked|\bblocked (?:by|using|for|due)|\brbl\b|dnsbl|"
    r"reputation|\bdmarc\b|\bdkim\b|\bspf\b|(?:unable|refus\w+|not permitted|denied|not allowed) to relay|relay(?:ing)? "
    r"(?:access )?(?:denied|not)|policy (?:reason|violation|restriction)|polic(?:y|ies) (?:of|prohibit)|virus found|"
    r"infected|content (?:rejected|filter|restriction)|not accepting mail from|sender (?:address )?(?:rejected|denied|"
    r"blocked|not allowed)|your ip|rate limit|receiving mail (?:at a rate|too)|too many (?:messages|connections|recipients)",
    re.I,
)
# What ends a wait is no word about the address, even where it says "not found" besides.
WAITED = re.compile(
    r"try again later|not found, try again|name service error|temporar(?:y|ily) (?!table)|time[d-]* ?out|not respond|"
    r"not reachable|unreachable|connection (?:refused|reset|lost)|(?:can ?not|could not|unable to|n't) (?:connect|establish)|"
    r"(?:able to|to) establish an smtp|in the queue too long|queue (?:period|expired)|message expired|delivery attempts|"
    r"failed \d+ attempts|aborted after|after \d+ attempt|not been collected|grey ?list|busy",
    re.I,
)
GONE = re.compile(
    r"(?:user|recipient|addressee|mailbox|account|address|destination|host|domain)(?: name)? (?:is |was )?(?:not |un)"
    r"(?:known|recogni[sz]ed|found|existent)|(?:un|not )known (?:local )?(?:or illegal )?(?:user|recipient|addressee|host|"
    r"mailbox|address|domain)|unknown (?:or|in) |no such (?:user|recipient|mailbox|person|account|address|domain|host|"
    r"local)|no mailbox|does ?n[o']t (?:exist|have an? \S+ account|have a final)|do(?:es)? not (?:exist|have a)|not exist|"
    r"(?:invalid|illegal|bad) (?:final |destination )?(?:\w+ )?(?:recipient|mailbox|user|address|userid)|not a valid "
    r"(?:user|mailbox|recipient|address)|mailbox (?:is )?(?:unavailable|disabled|inactive|closed)|not listed in|"
    r"recipientnotfound|(?:account|user|mailbox|address) (?:has been|is|was) (?:disabled|deactivated|discontinued|closed|"
    r"suspended|inactive|deleted|removed|expired|no longer)|no longer (?:valid|active|exists|available|in use|works)|"
    r"no matches to|n'existe (?:pas|plus)|inconnu|unbekannt|existiert nicht|no existe|desconocid|desconhecid|"
    r"sconosciut|non (?:esiste|trovato)|не найден|не существует|不存在|查无此",
    re.I,
)
OF_THE_MESSAGE = re.compile(
    r"too many hops|loop(?:ing|s back)|\bmail loop|too (?:large|big)|message size|maximum .{0,20}size|resent-from|"
    r"command died|processing|resend this|malformed|header",
    re.I,
)


def cause(statuses: list[str], words: str) -> str:
    """Returns "hard" or "soft" for a failure that is final. statuses: enhanced codes (5.1.1), the most telling first;
    words: what stands beside them."""
    told = [code for code in statuses if code[0] in "45" and not VAGUE.fullmatch(code)]
    if any(code[0] == "4" for code in statuses) or FULL.search(words):
        return "soft"
    if told:
        return "hard" if told[0] in DEAD and not _only_resting(told[0], words) else "soft"
    replies = REPLY.findall(words)
    if any(code[0] == "4" for code in replies) or BLOCKED.search(words) or WAITED.search(words):
        return "soft"
    if GONE.search(words):
        return "hard"
    if OF_THE_MESSAGE.search(words) or (replies and not set(replies) & set(OF_THE_MAILBOX)):
        return "soft"
    return "hard"


def refusal(words: str, *, of_recipient: bool) -> str:
    """Returns "hard" or "soft" for a message that a server refused at the door. words: its reply, code and all.
    of_recipient: it answered to the recipient, and not to the message.

    A report may be taken at its word that somebody is gone; a refusal at the door also says "not from you" and "not
    now", so it has to say that the address is no good."""
    statuses = codes_of(words)
    says_gone = bool(statuses) or of_recipient and GONE.search(words)
    return "hard" if says_gone and cause(statuses, words) == "hard" else "soft"


def _only_resting(status: str, words: str) -> bool:
    """5.1.0 and 5.2.1 are also written over mailboxes that merely take no more just now."""
    return status in ("5.1.0", "5.2.1") and bool(BLOCKED.search(words) or WAITED.search(words))


def codes_of(*texts: str, running: bool = False) -> list[str]:
    """Returns the enhanced codes in some texts. running: these are sentences and not the value of a field."""
    found = [code for text in texts for code in (STATUS_IN_TEXT if running else STATUS).findall(text)]
    return list(dict.fromkeys(code for code in found if code[0] in "45"))
