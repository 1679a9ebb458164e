"""Faults on demand: each has one behaviour, and stands before the acceptance of a request or in its place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from synapse_otel.testing.answers import HANG_UP, Answer
from synapse_otel.testing.calls import Call
from synapse_otel.testing.decoded import Item

Predicate: TypeAlias = Callable[[Item], object]

_MESSAGES = {413: "Received message larger than max"}


@runtime_checkable
class Fault(Protocol):
    """One way for a collector to misbehave. Write your own with this method."""

    def apply(self, call: Call) -> Answer:
        """Decide what becomes of a request.

        Called in the thread that serves the request, so it may block, best through `call.wait`.

        Args:
            call: A complete request that would be accepted; `call.accept()` does.

        Returns:
            What the sender gets.
        """
        ...


@dataclass(frozen=True, slots=True)
class Status:
    """Answers with an error and stores nothing.

    Over gRPC, 429, 502, 503 and 504 are UNAVAILABLE, 400 INVALID_ARGUMENT, 401 UNAUTHENTICATED, 403 PERMISSION_DENIED,
    404, 405 and 501 UNIMPLEMENTED, 408 DEADLINE_EXCEEDED, 413 RESOURCE_EXHAUSTED, 500 INTERNAL, all others UNKNOWN.

    Args:
        code: The HTTP status.
        retry_after: When to try again: seconds, or an HTTP date. The header Retry-After; over gRPC a
            `google.rpc.RetryInfo` in the trailing metadata (`google.rpc.retryinfo-bin` and `grpc-status-details-bin`).
        body: The body over HTTP; `None` for the `google.rpc.Status` that OTLP asks for, with `message` in it.
        message: The text of the error, as in `Status(429, message="rate limit exceeded")`.
        grpc_code: Another gRPC status, as in `Status(429, grpc_code="RESOURCE_EXHAUSTED")`.
    """

    code: int
    retry_after: float | str | None = None
    body: bytes | None = None
    message: str = ""
    grpc_code: str | None = None

    def apply(self, call: Call) -> Answer:  # noqa: ARG002  # the shape of every such method
        """Answer with the error."""
        message = self.message or _MESSAGES.get(self.code, "a fault of the test collector")
        return Answer(self.code, self.body, message=message, retry_after=self.retry_after, grpc_code=self.grpc_code)


@dataclass(frozen=True, slots=True)
class Slow:
    """Accepts, after a while; also what the sender has given up on meanwhile.

    Args:
        seconds: How long.
    """

    seconds: float

    def apply(self, call: Call) -> Answer:
        """Wait, then accept."""
        return call.accept() if call.wait(self.seconds) else HANG_UP


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuses a whole request, storing nothing, when any item in it is poisoned; accepts all others.

    Args:
        predicate: Whether an item is poisoned.
        status: The HTTP status of the refusal; over gRPC as for `Status`.
        message: The text of the error.
    """

    predicate: Predicate
    status: int = 400
    message: str = "a record is invalid"

    def apply(self, call: Call) -> Answer:
        """Refuse or accept."""
        if any(self.predicate(item) for item in call.items):
            return Status(self.status, message=self.message).apply(call)
        return call.accept()


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """Accepts a part of each request, and says so in `partial_success`.

    Args:
        rejected: How many items of each request are rejected (the first ones), or which: a predicate. With 0, all are
            accepted and the message is a warning.
        message: The error message.
    """

    rejected: int | Predicate
    message: str = ""

    def apply(self, call: Call) -> Answer:
        """Accept the part."""
        if isinstance(self.rejected, int):
            return call.accept_part(range(min(self.rejected, len(call.items))), self.message)
        return call.accept_part([at for at, item in enumerate(call.items) if self.rejected(item)], self.message)


@dataclass(frozen=True, slots=True)
class DropConnection:
    """Closes the connection without a complete answer. Over gRPC: UNAVAILABLE, "Socket closed".

    Args:
        after: `headers` before the body is read, `body` when it was, `half_response` in the middle of the answer (of
            which gRPC knows nothing: there it is as `body`).
        accept: Whether the request was stored before the answer was lost; not with `headers`.
    """

    after: Literal["headers", "body", "half_response"] = "body"
    accept: bool = False

    def __post_init__(self) -> None:
        if self.accept and self.after == "headers":
            raise ValueError("accept=True needs after='body' or 'half_response': after the headers nothing was read")

    def apply(self, call: Call) -> Answer:
        """Hang up."""
        if self.accept:
            call.accept()
        return Answer(cut=True) if self.after == "half_response" else HANG_UP


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Takes the request, stores nothing and never answers, until the collector stops."""

    def apply(self, call: Call) -> Answer:
        """Wait for the end."""
        call.wait(None)
        return HANG_UP


@dataclass(frozen=True, slots=True)
class Garbage:
    """Stores nothing and answers 200 with a body that is no protobuf, as a captive portal does.

    Args:
        body: The body.
    """

    body: bytes = b"<html>\xff\xfe</html>"

    def apply(self, call: Call) -> Answer:  # noqa: ARG002  # the shape of every such method
        """Answer with garbage."""
        return Answer(body=self.body)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends the sender elsewhere, storing nothing. Over gRPC, which knows no redirects: UNKNOWN.

    Args:
        location: The URL.
        status: 307 and 308 keep the method; 301, 302 and 303 make most clients change a POST to a GET.
    """

    location: str
    status: int = 307

    def apply(self, call: Call) -> Answer:  # noqa: ARG002  # the shape of every such method
        """Answer with the location."""
        return Answer(self.status, b"", {"Location": self.location}, message=f"moved to {self.location}")
