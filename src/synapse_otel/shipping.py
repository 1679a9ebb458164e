"""Who ships a run: threads of this process, the agent beside it, or nobody until `push`."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path
from typing import Protocol, TypeAlias

from synapse_otel.export.plan import ShippingPlan
from synapse_otel.export.settings import TelemetrySettings
from synapse_otel.journal.writer import Journal
from synapse_otel.models import DeliveryReport

Farewell: TypeAlias = Callable[[Path, Set[str], float], None]
"""Sees to what the workers of a run left: its directory, which journals are none of theirs, when to stop waiting."""


class Shipping(Protocol):
    """Sees to it that a journal is shipped: `export.shipper.Shipper`, `agent.shipper.AgentShipper`.

    Attributes:
        farewell: What is done for the workers of the run when the process ends itself.
    """

    farewell: Farewell

    def start(self) -> None:
        """Begin to ship."""

    def flush(self, timeout: float) -> bool:
        """Wait until what was recorded up to now is delivered, at most `timeout` seconds; return whether it is."""

    def stop(self, timeout: float) -> None:
        """End what was started, at most after `timeout` seconds."""

    def report(self) -> DeliveryReport:
        """Return what became of the records, by kind."""

    def counts(self) -> dict[str, int]:
        """Return what became of the records in total, as fast as it is to say."""


def shipper_for(
    journal: Journal, plan: ShippingPlan, tick: Callable[[], None], settings: TelemetrySettings, *, forked: bool = False
) -> Shipping:
    """Return who ships a journal, as the setting `shipper` says; threads where an agent cannot.

    Args:
        journal: What this process writes.
        plan: Where to and how.
        tick: Called four times a second, for what the logger does regularly.
        settings: Ours.
        forked: Whether this process was forked from one that ships: gRPC does not work in such a one, may end it even.
            What it records is sent by the process that forked it, or the next start, when it has ended.
    """
    from synapse_otel.export.shipper import Shipper, mark_to_be_sent

    if settings.shipper == "off":
        return Shipper(journal, plan.kept(), tick)
    if settings.shipper == "agent":
        from synapse_otel.agent.assignment import assignment
        from synapse_otel.agent.shipper import AgentShipper, agent_can_ship

        if agent_can_ship(journal, plan):
            return AgentShipper(journal, plan, tick, assignment(settings))
    if forked and plan.has_grpc:
        mark_to_be_sent(journal, plan)
        return Shipper(journal, plan.kept(), tick)
    return Shipper(journal, plan, tick)
