"""The values that plugins name or get back: levels, statuses, progress, the delivery report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self

ProgressStatus = Literal["running", "completed", "failed"]


class LogLevel(StrEnum):
    """How severe a message or an event is, from the least to the most."""

    DEBUG = "debug"
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    DANGER = "danger"
    ERROR = "error"
    CRITICAL = "critical"

    # An enum hashes its member's name, in Python code. By its value, one dictionary finds both `LogLevel.INFO` and
    # "info", and at the speed of a string.
    __hash__ = str.__hash__


class RunStatus(StrEnum):
    """What became of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    """The process died before the run was finished."""


class ActionStatus(StrEnum):
    """What became of an action or of a step within a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ProgressData:
    """The progress of one category as it was last reported.

    Attributes:
        current: What is done, from 0 to `total`.
        total: What there is to do; 0 when a category failed before its first report.
        category: The category, or None for progress without one. Also readable as `step`.
        elapsed_time: Seconds from the category's start to this report; None without a report.
        time_remaining: Seconds to the end, if the rest takes as long per item; None while unknown.
        status: `running`, `completed` (`current` is `total`) or `failed`.
    """

    current: float
    total: float
    category: str | None = None
    elapsed_time: float | None = None
    time_remaining: float | None = None
    status: ProgressStatus = "running"

    @property
    def percent(self) -> float:
        """`current` of `total` in percent, rounded to two places."""
        return round(100 * (self.current / self.total), 2) if self.total else 0.0

    @property
    def step(self) -> str | None:
        """The category, as the Synapse SDK calls it."""
        return self.category


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records of one kind.

    Attributes:
        accepted: Records whose call has returned.
        delivered: Records that the collector has confirmed.
        pending: Records in the journal, still to be sent.
        dropped: Records given up for lack of space.
        dead_lettered: Records that the collector refused for good, kept in the dead-letter file.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: int = 0
    dead_lettered: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of everything that a run has recorded, by kind of record and in total.

    Attributes:
        by_kind: The counts of each kind of record, such as `message` or `metrics`.
    """

    by_kind: Mapping[str, Counts] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Self:
        """The report of a logger that sends nothing."""
        return cls()

    @property
    def accepted(self) -> int:
        """Records whose call has returned."""
        return sum(counts.accepted for counts in self.by_kind.values())

    @property
    def delivered(self) -> int:
        """Records that the collector has confirmed."""
        return sum(counts.delivered for counts in self.by_kind.values())

    @property
    def pending(self) -> int:
        """Records in the journal, still to be sent."""
        return sum(counts.pending for counts in self.by_kind.values())

    @property
    def dropped(self) -> int:
        """Records given up for lack of space."""
        return sum(counts.dropped for counts in self.by_kind.values())

    @property
    def dead_lettered(self) -> int:
        """Records that the collector refused for good."""
        return sum(counts.dead_lettered for counts in self.by_kind.values())

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be sent."""
        return self.pending == 0

    def __str__(self) -> str:
        counts = {
            "delivered": self.delivered,
            "pending": self.pending,
            "dropped": self.dropped,
            "dead-lettered": self.dead_lettered,
        }
        return ", ".join([f"{self.accepted} accepted", *(f"{count} {what}" for what, count in counts.items() if count)])
