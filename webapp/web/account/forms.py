"""Forms of signing in and of one's own account."""

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, Length


class SignInForm(FlaskForm):
    email = EmailField("E-mail", [InputRequired("Type your e-mail address."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Type your password.")])


class PasswordForm(FlaskForm):
    old_password = PasswordField("Present password")
    password = PasswordField("New password", [InputRequired("Choose a new password.")])


class WelcomeForm(FlaskForm):
    password = PasswordField("Choose a password", [InputRequired("Choose a password.")])


class OrganizationForm(FlaskForm):
    name = StringField("Name", [InputRequired("Give it a name."), Length(max=120)])
    timezone = SelectField("Time zone", default="UTC")
