"""How what a run left is delivered."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Literal

from faults.kit import Place, wait_until

By = Literal["push", "next start"]
USUALLY: dict[str, By] = {"http/protobuf": "push", "grpc": "next start"}
"""By which of them, so that both are tried with each fault."""
PATIENCE = 30.0
"""Seconds in which an agent that backs off tries again, or gives a journal back."""
_IN_HAND = 2.0
"""Seconds that an agent is given to deliver what it has in hand, before `push` is tried again."""


def deliver_rest(place: Place, env: Mapping[str, str], by: By, is_settled: Callable[[], bool]) -> None:
    """Deliver what was left."""
    if by == "next start":
        place.next_start(env, is_settled, PATIENCE)
    elif place.shipper == "thread":
        pushed = place.push(env)
        assert (pushed.returncode, is_settled()) == (0, True), pushed
    else:
        _push_beside_an_agent(place, env, is_settled)


def _push_beside_an_agent(place: Place, env: Mapping[str, str], is_settled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_settled():
        pushed = place.push(env)
        with contextlib.suppress(AssertionError):
            wait_until(is_settled, _IN_HAND)
        assert is_settled() or time.monotonic() < deadline, pushed
