"""What a verb raises when it will not do what it was asked. Faces turn these into pages and problem+json."""


class Refused(Exception):
    """A request that changes nothing. status: the HTTP status a face answers with."""

    status = 409

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message


class NotFound(Refused):
    """No such row in this organisation."""

    status = 404

    def __init__(self, message: str = "There is nothing here under that address."):
        super().__init__(message)


class Forbidden(Refused):
    """The signed-in user's role does not allow it."""

    status = 403

    def __init__(self, message: str = "Your role does not allow this."):
        super().__init__(message)


class Invalid(Refused):
    """Input that cannot be taken. errors: field name -> message, in the words shown at that field."""

    status = 422

    def __init__(self, errors: dict[str, str], message: str = "Some of this needs another look."):
        super().__init__(message)
        self.errors = errors


class TooMany(Refused):
    """Asked too often. retry_after: seconds until it may be tried again."""

    status = 429

    def __init__(self, message: str, retry_after: int):
        super().__init__(message)
        self.retry_after = retry_after
