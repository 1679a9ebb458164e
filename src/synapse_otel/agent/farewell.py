"""What a process does for its run when it ends itself: wait until the agent has what the workers of the run left.

The agent would deliver it later as well; but where the process is all that a container is for, the agent ends with it.
"""

from __future__ import annotations

import time
from collections.abc import Set
from pathlib import Path

from synapse_otel.agent.bell import ring
from synapse_otel.agent.place import AgentPlace
from synapse_otel.export import farewell
from synapse_otel.export.notices import Notices
from synapse_otel.export.orphans import is_left
from synapse_otel.export.plan import ShippingPlan

_PAUSE = 0.02


def see_off(place: AgentPlace, plan: ShippingPlan, run: Path, own: Set[str], deadline: float) -> None:
    """Wait until the agent has delivered what other processes of a run left; without one, deliver it here.

    Args:
        place: Where the agent is.
        plan: How it is shipped.
        run: The directory of the run.
        own: The journals in it that are this process's, by their ids.
        deadline: When it is left to the agent, by the monotonic clock.
    """
    if not ring(place.bell, "look"):
        farewell.see_off(plan, run, own, deadline)
        return
    quiet = Notices(lambda _: None)
    while time.monotonic() < deadline and any(
        is_left(path, quiet) or farewell.is_about_to_end(path) for path in farewell.others(run, own)
    ):
        time.sleep(_PAUSE)
