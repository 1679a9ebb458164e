"""A curve in bounded memory, however long the run is."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

from synapse_otel.cli.view import SeriesView

_LEAST = 256


@dataclass(slots=True)
class Curve(SeriesView):
    """A series that is drawn only: each of its at most 512 values is the mean of equally many samples.

    Attributes:
        share: How many samples each value stands for.
        mean: The mean of those that are no value yet.
        waiting: How many they are.
        finite_waiting: How many of them are finite.
    """

    share: int = 1
    mean: float = 0.0
    waiting: int = 0
    finite_waiting: int = 0

    def keep(self, t: int, value: float) -> None:  # noqa: ARG002  # a curve on the terminal has no times
        """Add a sample to the value that is being made."""
        self.waiting += 1
        if math.isfinite(value):
            self.finite_waiting += 1
            part = 1 / self.finite_waiting
            self.mean = self.mean * (1 - part) + value * part  # no sum, which could exceed what a float holds
        if self.waiting == self.share:
            self.values.append(self.mean if self.finite_waiting else math.nan)
            self.mean, self.waiting, self.finite_waiting = 0.0, 0, 0
        if len(self.values) == 2 * _LEAST:
            self.values = array("d", map(_mean, self.values[::2], self.values[1::2]))
            self.share *= 2


def _mean(one: float, other: float) -> float:
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return one / 2 + other / 2
