"""What WhatsApp and Twilio tell by webhook."""

from typing import Any

from flask import Response, current_app, request
from markupsafe import escape

from webapp.messaging import inbound, webhooks
from webapp.messaging.providers.twilio import notices as of_twilio
from webapp.messaging.providers.twilio import signature as by_twilio
from webapp.messaging.providers.whatsapp_cloud import notices as of_whatsapp
from webapp.messaging.providers.whatsapp_cloud import signature as by_whatsapp
from webapp.messaging.senders import Sender
from webapp.platform.errors import Forbidden
from webapp.web.webhooks.blueprint import body, of_sender, plain, secret, webhook_pages

FORGED = "The signature is not right."
OPAQUE = "message"  # the parameter of a callback's address that carries our own token
CHALLENGE_LIMIT = 200


@webhook_pages.get("/whatsapp_cloud/<token>")
def whatsapp_handshake(token: str) -> Any:
    """How a new subscription is confirmed: whoever knows our token gets back what they asked us to say."""

    def answer(sender: Sender) -> Response:
        asked = request.args
        if not by_whatsapp.shakes(
            secret(sender, "verify_token"), asked.get("hub.mode", ""), asked.get("hub.verify_token", "")
        ):
            raise Forbidden("The token is not right.")
        return plain(200, asked.get("hub.challenge", "")[:CHALLENGE_LIMIT])

    return of_sender("whatsapp_cloud", token, answer)


@webhook_pages.post("/whatsapp_cloud/<token>")
def whatsapp_cloud(token: str) -> Any:
    given, raw = request.headers.get(by_whatsapp.HEADER, ""), body()

    def answer(sender: Sender) -> Response:
        if not by_whatsapp.holds(secret(sender, "app_secret"), raw, given):
            raise Forbidden(FORGED)
        webhooks.take(sender, of_whatsapp.read(raw))
        return plain(200, "ok")

    return of_sender("whatsapp_cloud", token, answer)


@webhook_pages.post("/twilio/<token>")
def twilio(token: str) -> Any:
    given, fields = request.headers.get(by_twilio.HEADER, ""), of_twilio.fields(body())
    # As Twilio was told it, whatever proxies have made of it since.
    asked = request.query_string.decode("latin-1")
    url = current_app.config["BASE_URL"] + request.path + (f"?{asked}" if asked else "")

    def answer(sender: Sender) -> Response:
        if not by_twilio.holds(secret(sender, "auth_token"), url, fields, given):
            raise Forbidden(FORGED)
        came = webhooks.take(sender, of_twilio.read(fields, request.args.get(OPAQUE, "")))
        # Where Twilio answers such words itself it says so; two answers would be one too many.
        asks = any(message.intent == "help" for message in came) and not dict(fields).get("OptOutType")
        return _twiml(inbound.help_words() if asks else "")

    return of_sender("twilio", token, answer)


def _twiml(words: str) -> Response:
    message = f"<Message>{escape(words)}</Message>" if words else ""
    return Response(f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>', mimetype="text/xml")
