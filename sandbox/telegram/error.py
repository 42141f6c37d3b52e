"""The refusals of the Bot API, in its own words."""

from typing import Any


class ApiError(Exception):
    """A call that the Bot API refuses, with the HTTP status it answers."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        """Return the JSON body that goes with the status."""
        body = {"ok": False, "error_code": self.code, "description": self.description}
        return body | ({"parameters": self.parameters} if self.parameters else {})


def bad_request(reason: str) -> ApiError:
    """Make the 400 that names its reason."""
    return ApiError(400, f"Bad Request: {reason}")


def blocked() -> ApiError:
    """Make the 403 of a bot that the user has blocked."""
    return ApiError(403, "Forbidden: bot was blocked by the user")


def chat_not_found() -> ApiError:
    """Make the 400 of a chat that the bot has never seen."""
    return bad_request("chat not found")


def query_too_old() -> ApiError:
    """Make the 400 of a button press that is answered too late, or that never was."""
    return bad_request("query is too old and response timeout expired or query ID is invalid")


def not_modified() -> ApiError:
    """Make the 400 of an edit that changes nothing."""
    return bad_request(
        "message is not modified: specified new message content and reply markup are exactly "
        "the same as a current content and reply markup of the message"
    )


def too_many_requests(retry_after: int) -> ApiError:
    """Make the 429 that tells how many seconds to wait."""
    description = f"Too Many Requests: retry after {retry_after}"
    return ApiError(429, description, retry_after=retry_after)


def unauthorized() -> ApiError:
    """Make the 401 of a token that no bot has."""
    return ApiError(401, "Unauthorized")


def too_large() -> ApiError:
    """Make the 413 of an upload above 50 MB."""
    return ApiError(413, "Request Entity Too Large")


def method_not_found() -> ApiError:
    """Make the 404 of a method that the sandbox does not have."""
    return ApiError(404, "Not Found: method not found")


def not_found() -> ApiError:
    """Make the 404 of a file path that leads nowhere."""
    return ApiError(404, "Not Found")
