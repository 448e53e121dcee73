"""The form of an invitation."""

from flask_wtf import FlaskForm
from wtforms import EmailField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from webapp.platform.roles import ROLES
from webapp.web.filters import words


class InviteForm(FlaskForm):
    name = StringField("Name", (InputRequired("Give their name."), Length(max=120)))
    email = EmailField("E-mail", (InputRequired("Give their e-mail address."), Length(max=254)))
    role = SelectField("Role", choices=[(role, words(role)) for role in ROLES], default="marketer")
