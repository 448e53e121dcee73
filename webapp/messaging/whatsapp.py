"""WhatsApp templates: what may be asked of one, what it needs for a person, and how a phone shows it.

Meta keeps the words and approves them; a message names the template and brings what stands for {{1}}, {{2}}, ...
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webapp.messaging import tokens
from webapp.messaging.compose import Letterhead, lead_values
from webapp.messaging.grammar import in_pieces
from webapp.messaging.headers import one_line
from webapp.messaging.texting import NUMBER
from webapp.platform.signing import Signer

CATEGORIES = ("MARKETING", "UTILITY", "AUTHENTICATION")
SENDABLE = ("APPROVED", "REINSTATED")
NAME = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3})?")
PLACE = re.compile(r"\{\{([^{}]*)\}\}")
BODY_LIMIT, LINE_LIMIT, BUTTON_LIMIT, BUTTONS = 1024, 60, 25, 10  # characters, and buttons
PARAMETERS = 50
# Pages that show an e-mail; a phone has the message itself.
UNFIT_TOKENS = {"view_url", "confirm_url"}


@dataclass(frozen=True)
class TemplateMessage:
    """One finished message. recipient: digits alone. shown_text: what the phone shows."""

    send_id: int
    recipient: str
    name: str
    language: str
    components: list[dict[str, Any]]
    opaque: str
    shown_text: str


def problem(whatsapp: dict[str, Any]) -> dict[str, str]:
    """Returns what is wrong with a template: field -> message. Empty if it can be saved."""
    if not isinstance(whatsapp, dict):
        return {"body": "Write the message."}
    errors: dict[str, str] = {}
    if not NAME.fullmatch(_text(whatsapp, "name")):
        errors["name"] = "Use small letters, digits and underscores: renewal_reminder."
    if not LANGUAGE.fullmatch(_text(whatsapp, "language")):
        errors["language"] = "Give the language as WhatsApp names it, such as en or en_US."
    if whatsapp.get("category") not in CATEGORIES:
        errors["category"] = f"Choose one of {', '.join(CATEGORIES)}."
    if found := _of_body(whatsapp):
        errors["body"] = found
    if found := _of_parameters(whatsapp, errors.get("body")):
        errors["parameters"] = found
    for name in ("header", "footer"):
        line = whatsapp.get(name)
        if line not in (None, "") and (not isinstance(line, str) or len(line) > LINE_LIMIT or "{{" in line):
            errors[name] = f"This is one line of at most {LINE_LIMIT} characters, without parameters."
    if found := _of_buttons(whatsapp.get("buttons")):
        errors["buttons"] = found
    return errors


def _text(whatsapp: dict[str, Any], name: str) -> str:
    return found if isinstance(found := whatsapp.get(name), str) else ""


def _of_body(whatsapp: dict[str, Any]) -> str | None:
    body = _text(whatsapp, "body")
    if not body.strip():
        return "Write the message."
    if len(body) > BODY_LIMIT:
        return f"Use at most {BODY_LIMIT:,} characters."
    places, rest = PLACE.findall(body), PLACE.sub("", body)
    if "{{" in rest or "}}" in rest or not all(place.isascii() and place.isdigit() for place in places):
        return "Write {{1}}, {{2}} and so on where a value stands, and say below what each is."
    if {int(place) for place in places} != set(range(1, len(set(places)) + 1)):
        return "Number the places {{1}}, {{2}} and so on without a gap."
    return None


def places(whatsapp: dict[str, Any]) -> int:
    """Returns how many values the body asks for."""
    found = [
        int(place)
        for place in PLACE.findall(_text(whatsapp, "body"))
        if place.isascii() and place.isdigit() and len(place) < 5
    ]
    return max(found, default=0)


def _of_parameters(whatsapp: dict[str, Any], body_problem: str | None) -> str | None:
    given = whatsapp.get("parameters") or []
    if not isinstance(given, list) or len(given) > PARAMETERS:
        return f"Give at most {PARAMETERS} parameters, in order."
    for n, parameter in enumerate(given, 1):
        if found := _of_expression(parameter):
            return f"{{{{{n}}}}}: {found}"
    wanted = places(whatsapp)
    if not body_problem and len(given) != wanted:
        return f"The message has {wanted} {'place' if wanted == 1 else 'places'} to fill; {len(given)} are given."
    return None


def _of_expression(parameter: Any) -> str | None:
    if not isinstance(parameter, str) or not parameter.strip():
        return "Say what stands here."
    if len(parameter) > BODY_LIMIT:
        return "This is too long."
    if found := tokens.problem(parameter):
        return found
    unfit = sorted(tokens.used(parameter) & UNFIT_TOKENS)
    return f"{unfit[0]} is for e-mails only." if unfit else None


def _of_buttons(buttons: Any) -> str | None:
    if buttons in (None, []):
        return None
    if not isinstance(buttons, list) or len(buttons) > BUTTONS:
        return f"Use at most {BUTTONS} buttons."
    for button in buttons:
        if not isinstance(button, dict) or button.get("type") not in ("url", "quick_reply"):
            return "A button opens an address (url) or gives an answer (quick_reply)."
        label = button.get("text")
        if not isinstance(label, str) or not label.strip() or len(label) > BUTTON_LIMIT:
            return f"A button needs words of at most {BUTTON_LIMIT} characters."
        if button["type"] == "url" and (found := _of_address(button)):
            return f"“{label}”: {found}"
    return None


def _of_address(button: dict[str, Any]) -> str | None:
    url, parameter = button.get("url"), button.get("parameter")
    if url is not None and (not isinstance(url, str) or not re.match(r"https?://[^/\s{]+", url)):
        return "Give the address as approved: https://…, ending in {{1}} where a value follows."
    return _of_expression(parameter) if parameter not in (None, "") else None


def parameters(whatsapp: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """Returns what stands for {{1}}, {{2}}, ... Raises TemplateError, and ValueError where one is empty."""
    return _Filler(whatsapp).parameters(values)


class _Filler:
    """A template's expressions, read once."""

    def __init__(self, whatsapp: dict[str, Any]):
        self.whatsapp = whatsapp
        self.environment = tokens.environment()
        self.expressions: list[str] = list(whatsapp.get("parameters") or [])
        self.buttons = [
            (index, button) for index, button in enumerate(whatsapp.get("buttons") or [])
            if isinstance(button, dict) and button.get("type") == "url" and button.get("parameter")
        ]  # fmt: skip
        for n, expression in enumerate(self.expressions, 1):
            self.environment.add_template(f"{n}.txt", in_pieces(expression))
        for index, button in self.buttons:
            self.environment.add_template(f"button{index}.txt", in_pieces(button["parameter"]))

    def parameters(self, values: dict[str, Any]) -> list[str]:
        return [
            self._filled(f"{n}.txt", values, f"{{{{{n}}}}} ({expression.strip()[:80]})")
            for n, expression in enumerate(self.expressions, 1)
        ]

    def suffixes(self, values: dict[str, Any]) -> list[tuple[int, str]]:
        """Returns what follows the addresses of buttons: (which button, what)."""
        return [
            (index, self._filled(f"button{index}.txt", values, f"the button “{button.get('text')}”"))
            for index, button in self.buttons
        ]

    def _filled(self, name: str, values: dict[str, Any], place: str) -> str:
        # WhatsApp takes no line breaks, tabs or runs of spaces in a value, and no empty one.
        known = {token: value for token, value in values.items() if value is not None}
        filled = one_line(self.environment.render_template(name, **known))
        if not filled:
            raise ValueError(f"{place} is empty for this person")
        return filled


def shown(whatsapp: dict[str, Any], given: Sequence[str]) -> str:
    """Returns what a phone shows where these values stand for {{1}}, {{2}}, ..."""
    parts = (_text(whatsapp, "header"), _body(whatsapp, given), _text(whatsapp, "footer"))
    return "\n\n".join(part for part in parts if part)


def _body(whatsapp: dict[str, Any], given: Sequence[str]) -> str:
    def put(match: re.Match[str]) -> str:
        n = int(match[1]) if match[1].isascii() and match[1].isdigit() else 0
        return given[n - 1] if 0 < n <= len(given) else match[0]

    return PLACE.sub(put, _text(whatsapp, "body"))


def _said(whatsapp: dict[str, Any], given: Sequence[str]) -> str:
    if len(_body(whatsapp, given)) > BODY_LIMIT:
        raise ValueError(f"the message has more than {BODY_LIMIT:,} characters for this person")
    return shown(whatsapp, given)


def text(whatsapp: dict[str, Any], values: dict[str, Any]) -> str:
    """Returns what the phone of a person shows. values: token -> value. Raises TemplateError, and ValueError where a
    parameter is empty or the message too long for them."""
    return _said(whatsapp, parameters(whatsapp, values))


class TemplateComposer:
    """Builds the messages of one campaign from a template version's `whatsapp`."""

    def __init__(self, whatsapp: dict[str, Any], head: Letterhead, signer: Signer):
        self.whatsapp, self.head, self.signer = whatsapp, head, signer
        self.filler = _Filler(whatsapp)
        self.needs = tokens.used(*self.filler.expressions, *(button["parameter"] for _, button in self.filler.buttons))

    def values(self, row: Any) -> dict[str, Any]:
        """Returns what the tokens stand for. row: a lead's columns as the outbox claims them, with the send's id."""
        values = lead_values(row, self.head.company)
        for name, path, purpose, number in (
            ("unsubscribe_url", "u", "unsubscribe", row.id),
            ("preferences_url", "p", "preferences", row.lead_id or 0),
        ):
            if name in self.needs:
                token = self.signer.pack(purpose, self.head.org_id, number)
                values[name] = f"{self.head.base_url}/{path}/{token}"
        return values

    def build(self, row: Any, extra: dict[str, Any] | None = None) -> TemplateMessage:
        """Returns the message for one claimed row. extra: values looked up beside the lead (policy, agent).

        Raises TemplateError or ValueError where it cannot be filled in for this lead or its number be called.
        """
        if not NUMBER.fullmatch(row.recipient_address):
            raise ValueError(f"{row.recipient_address[:40]!r} is not a phone number")
        values = self.values(row) | (extra or {})
        given = self.filler.parameters(values)
        components = [{"type": "body", "parameters": [_parameter(value) for value in given]}] if given else []
        components += [
            {"type": "button", "sub_type": "url", "index": str(index), "parameters": [_parameter(suffix)]}
            for index, suffix in self.filler.suffixes(values)
        ]
        return TemplateMessage(
            send_id=row.id,
            recipient=row.recipient_address.removeprefix("+"),
            name=self.whatsapp["name"],
            language=self.whatsapp["language"],
            components=components,
            opaque=self.signer.pack("message", self.head.org_id, row.id),
            shown_text=_said(self.whatsapp, given),
        )


def _parameter(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}
