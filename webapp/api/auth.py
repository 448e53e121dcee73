"""Tokens."""

from typing import Any

import marshmallow as ma
from flask import current_app
from flask.views import MethodView

from webapp.api.face import room
from webapp.platform import api_tokens, users
from webapp.platform.api_tokens import NotSignedIn
from webapp.platform.db import transaction

auth_api = room("auth", "/auth", "Access tokens", open_to_all=True)


class CredentialsSchema(ma.Schema):
    email = ma.fields.String(required=True, validate=ma.validate.Length(max=254))
    password = ma.fields.String(required=True, validate=ma.validate.Length(max=200))


class TokenSchema(ma.Schema):
    access_token = ma.fields.String()
    token_type = ma.fields.String()
    expires_in = ma.fields.Integer(metadata={"description": "seconds"})


@auth_api.route("/token")
class Token(MethodView):
    @auth_api.doc(security=[])
    @auth_api.arguments(CredentialsSchema)
    @auth_api.response(200, TokenSchema)
    def post(self, body: dict[str, str]) -> Any:
        """Exchanges an e-mail address and a password for an access token."""
        with transaction():
            found = users.find_everywhere(body["email"])
        for org_id, user_id in found:
            # Committed whether right or wrong: failures count towards the lock.
            with transaction(org_id):
                user = users.get(user_id)
                if users.authenticate(user, body["password"]):
                    user.failed_sign_ins, user.locked_until = 0, None
                    token = api_tokens.issue(user, current_app.config["SECRET_KEY"])
                    return {"access_token": token, "token_type": "Bearer", "expires_in": api_tokens.LIFETIME}
        if not found:
            users.spend_time_of_a_check()
        raise NotSignedIn("That e-mail address and password do not belong together.")
