"""What became of a request."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What the answer means for the records in the request."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Nobody took them and nobody refused them: the same request again, later."""
    REFUSED = "refused"
    """The content is refused for good: the same request again would be refused again."""
    UNSERVED = "unserved"
    """The endpoint does not serve this signal."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and what a person should know about it.

    Attributes:
        verdict: What it means for the records.
        reason: What happened, in words.
        retry_after: Seconds that the receiver asked to wait.
        rejected: How many items of a delivered request the receiver did not take (partial success).
        code: The HTTP status, or the name of gRPC's; None where nobody answered.
    """

    verdict: Verdict
    reason: str = ""
    retry_after: float | None = None
    rejected: int = 0
    code: int | str | None = None


DELIVERED = Outcome(Verdict.DELIVERED)
