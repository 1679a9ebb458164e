"""What a request is answered with, before either protocol has its say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in the terms of HTTP; gRPC translates it.

    Args:
        status: The HTTP status; `None` hangs up without an answer.
        body: What is sent. `None` sends, with an error, a serialized `google.rpc.Status` that holds `message`.
        headers: More HTTP headers; gRPC ignores them.
        message: The text of an error.
        retry_after: When to try again: seconds, or an HTTP date.
        grpc_code: The name of the gRPC status, where it is not the one that usually goes with `status`.
        cut: Hangs up in the middle of the answer.
    """

    status: int | None = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    retry_after: float | str | None = None
    grpc_code: str | None = None
    cut: bool = False

    def retry_seconds(self) -> float | None:
        """How long to wait before the next try, from now; at least 0."""
        if not isinstance(self.retry_after, str):
            return self.retry_after
        return max(0.0, (parsedate_to_datetime(self.retry_after) - datetime.now(UTC)).total_seconds())


HANG_UP = Answer(status=None)


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure of this program
    """Ends the handling of a request with an error for its sender.

    Args:
        status: The HTTP status.
        message: The text for the sender.
        headers: More HTTP headers.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status, message=message, headers=headers or {})


class Gone(Refused):
    """The sender went away in the middle of its request."""

    def __init__(self) -> None:
        super().__init__(400, "the sender went away")
        self.answer = HANG_UP


def too_large(size: int, limit: int) -> Refused:
    """A request of more bytes than are taken, in gRPC's own words."""
    return Refused(413, f"Received message larger than max ({size} vs. {limit})")
