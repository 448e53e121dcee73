"""What each provider needs to be told about a sender: one table, read by the forms, the API and the verb that saves."""

from dataclasses import dataclass
from typing import Any

from webapp.platform.errors import Invalid

PROVIDERS = ("smtp", "twilio", "whatsapp_cloud", "local")
CHANNELS_OF = {
    "smtp": ("email",), "twilio": ("sms",), "whatsapp_cloud": ("whatsapp",), "local": ("email", "sms", "whatsapp"),
}  # fmt: skip
PROVIDER_WORDS = {
    "smtp": "SMTP server", "twilio": "Twilio", "whatsapp_cloud": "WhatsApp Cloud API", "local": "Built-in",
}  # fmt: skip
TLS_MODES = ("starttls", "tls", "none")
TLS_CHOICES = (
    ("starttls", "STARTTLS (usually port 587)"), ("tls", "TLS from the start (usually port 465)"), ("none", "None"),
)  # fmt: skip
IMAP_CHOICES = (
    ("tls", "TLS from the start (usually port 993)"),
    ("starttls", "STARTTLS (usually port 143)"),
    ("none", "None"),
)


@dataclass(frozen=True)
class Field:
    """One thing a sender is asked for. kind: how it is read (sender_reading.READERS). place: where it is kept: a column of its own, the
    plain config, its `imap` part, or sealed. generated: made by us, shown once, never typed."""

    name: str
    label: str
    kind: str = "text"
    required: bool = False
    place: str = "config"
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    default: Any = None
    generated: bool = False
    words: str = ""  # what is said where it is missing or cannot be read
    goes_to: tuple[str, ...] = ()  # of a secret: the fields that say where it is sent

    @property
    def is_secret(self) -> bool:
        return self.place == "secret"

    @property
    def key(self) -> str:
        """Its name where it is kept."""
        return self.name.removeprefix("imap_") if self.place == "imap" else self.name


ADDRESS = Field("address", "From address", "email", True, "column")
REPLY_TO = Field("reply_to", "Reply to", "email", place="column")
NUMBER = Field("address", "Number", "phone", place="column", hint="With its country code, such as +1 415 555 2671.")
API_BASE = Field(
    "api_base",
    "API address",
    "url",
    hint="Only where a proxy stands in between. https, or a port of this machine.",
)
SMTP = (
    ADDRESS, REPLY_TO,
    Field("host", "Server", "host", True, words="Give the server's host name."),
    Field("port", "Port", "port", True, default=587),
    Field("tls", "Security", "choice", True, choices=TLS_CHOICES, words="Choose how the connection is secured."),
    Field("username", "User name"),
    Field("password", "Password", place="secret", goes_to=("host", "port", "tls")),
    Field("bounce_domain", "Bounce domain", "domain", hint="Bounces come back to it. Empty: the domain of the From address."),
    Field("imap_host", "Mailbox server (IMAP)", "host", place="imap", hint="Where bounces arrive, if Canvass is to read them."),
    Field("imap_port", "Mailbox port", "port", place="imap", default=993),
    Field("imap_tls", "Mailbox security", "choice", place="imap", choices=IMAP_CHOICES, default="tls"),
    Field("imap_username", "Mailbox user name", place="imap"),
    Field("imap_password", "Mailbox password", place="secret", goes_to=("imap_host", "imap_port", "imap_tls")),
    Field("imap_folder", "Folder", place="imap", default="INBOX"),
    Field("webhook_secret", "Webhook secret", place="secret", generated=True, hint="Signs what your server posts to the webhook address."),
)  # fmt: skip
TWILIO = (
    NUMBER,
    Field("messaging_service_sid", "Messaging service", "service_sid", hint="Instead of a number: its SID begins with MG."),
    Field("account_sid", "Account SID", "account_sid", True, hint="Begins with AC."),
    Field("auth_token", "Auth token", "token", True, "secret", goes_to=("api_base",)),
    API_BASE,
)  # fmt: skip
WHATSAPP = (
    Field("address", "Number", "phone", True, "column", hint="With its country code, such as +1 415 555 2671."),
    Field("phone_number_id", "Phone number ID", "digits", True, hint="Digits, from the API set-up page of the app."),
    Field("business_account_id", "Business account ID", "digits", True),
    Field("access_token", "Access token", "token", True, "secret", hint="Of a system user, so that it does not run out.",
          goes_to=("api_base",)),
    Field("app_secret", "App secret", "token", True, "secret", hint="Webhooks are believed only with its signature."),
    Field("verify_token", "Verify token", place="secret", generated=True, hint="Asked for where you enter the webhook address."),
    Field("portfolio_id", "Business portfolio", "id", place="column", hint="Its numbers share one daily limit of people."),
    API_BASE,
)  # fmt: skip
FIELDS: dict[tuple[str, str], tuple[Field, ...]] = {
    ("smtp", "email"): SMTP,
    ("twilio", "sms"): TWILIO,
    ("whatsapp_cloud", "whatsapp"): WHATSAPP,
    ("local", "email"): (Field("address", "From address", "email", place="column", hint="Empty: one is made up."), REPLY_TO),
    ("local", "sms"): (),
    ("local", "whatsapp"): (Field("portfolio_id", "Business portfolio", "id", place="column"),),
}  # fmt: skip


def kind_of(values: dict[str, Any]) -> tuple[str, str]:
    """Returns the (provider, channel) of a new sender: SMTP, and the first channel a provider carries, if not given."""
    provider = str(values.get("provider") or "smtp")
    return provider, str(values.get("channel") or CHANNELS_OF.get(provider, ("email",))[0])


def of(provider: str, channel: str) -> tuple[Field, ...]:
    """Returns what a provider asks for on a channel. Raises Invalid where it does not carry it."""
    if provider not in PROVIDERS:
        raise Invalid({"provider": f"Choose one of {', '.join(PROVIDERS)}."})
    if channel not in CHANNELS_OF[provider]:
        raise Invalid({"channel": f"{PROVIDER_WORDS[provider]} carries {' or '.join(CHANNELS_OF[provider])}."})
    return FIELDS[provider, channel]
