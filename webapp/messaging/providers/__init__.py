"""Providers: one module each with the same functions, one line here.

deliver(sender, messages, deadline): yields an Outcome for each message, in order; `deadline` is a time.monotonic()
after which no further message is begun. Raises Unreachable where not even the first could be tried.
check(sender): returns the provider's own words about the connection. Raises Unreachable.
"""

from types import ModuleType

from webapp.messaging.providers import local, smtp, twilio, whatsapp_cloud

REGISTRY: dict[str, ModuleType] = {
    "smtp": smtp,
    "twilio": twilio,
    "whatsapp_cloud": whatsapp_cloud,
    "local": local,
}


def of(provider: str) -> ModuleType:
    """Returns the provider's module (a KeyError for one that is not built)."""
    return REGISTRY[provider]
