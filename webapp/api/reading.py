"""Reading what a caller sent: JSON that the database can hold, and ids that can be one."""

import json
import math
from collections.abc import Iterator
from typing import Any

import marshmallow as ma
from webargs.flaskparser import FlaskParser

from webapp.platform.errors import Invalid

DEPTH = 20
BIGGEST_ID = 2**63 - 1


class Parser(FlaskParser):
    """Refuses, each at its place, what JSON can say and PostgreSQL cannot hold."""

    def _raw_load_json(self, req: Any) -> Any:
        try:
            body = super()._raw_load_json(req)
        except RecursionError:
            raise Invalid({"body": f"This is nested more than {DEPTH} deep."}) from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except ValueError:
            raise Invalid({"body": "It has a number with too many digits."}) from None
        if errors := {".".join(place) or "body": words for place, words in _unholdable(body)}:
            raise Invalid(errors)
        return body


def _unholdable(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        if "\0" in value:
            yield place, "Text cannot contain the character NUL."
        elif any("\ud800" <= char <= "\udfff" for char in value):
            yield place, "Text cannot contain half of a surrogate pair."
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield place, "This is not a number."
    elif isinstance(value, dict | list):
        if len(place) >= DEPTH:
            yield place[:1], f"This is nested more than {DEPTH} deep."
            return
        pairs = enumerate(value) if isinstance(value, list) else value.items()
        for key, inner in pairs:
            if any(_unholdable(key)):
                yield place, "A name in it cannot be kept."
            else:
                yield from _unholdable(inner, (*place, str(key)))


class Row(ma.fields.Nested):
    """A row of many, described as its schema and read as it is: each is judged by itself (`face.problems_by_row`), so
    that what is wrong with one refuses no other."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return value


def id_field(**options: Any) -> ma.fields.Integer:
    """Returns the field of a row's id."""
    return ma.fields.Integer(validate=ma.validate.Range(1, BIGGEST_ID), **options)
