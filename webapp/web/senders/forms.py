"""The form of an SMTP sender."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.messaging.senders import Sender

PORT_WORDS = "A port is a number from 1 to 65535."


class SmtpForm(FlaskForm):
    name = StringField("Name recipients see", (InputRequired("Give the name recipients see."),))
    address = EmailField("From address", (InputRequired("Give the address messages come from."),))
    reply_to = EmailField("Reply to", (Optional(),))
    host = StringField("Server", (InputRequired("Give the server's host name."),))
    port = IntegerField("Port", (InputRequired(PORT_WORDS), NumberRange(1, 65535, PORT_WORDS)), default=587)
    tls = SelectField(
        "Security",
        choices=[
            ("starttls", "STARTTLS (usually port 587)"),
            ("tls", "TLS from the start (usually port 465)"),
            ("none", "None"),
        ],
    )
    username = StringField("User name", (Optional(),))
    password = PasswordField("Password", (Optional(),))
    status = SelectField("Status", choices=[("active", "Active"), ("inactive", "Inactive")])
    is_default = BooleanField("Use this sender unless another is chosen")

    def __init__(self, sender: Sender | None = None):
        super().__init__(
            obj=sender,
            data=None if sender is None else {k: sender.config.get(k) for k in ("host", "port", "tls", "username")},
        )
