"""The OpenTelemetry SDK by hand, in this process."""

from __future__ import annotations

import logging
from contextvars import Context
from typing import Any

from bench import Variant
from peers.hand import ByHand


def by_hand(endpoint: str, **batching: Any) -> Variant:
    """A run with the SDK alone."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it says each time that its queue is full
    context = Context()
    target = context.run(ByHand, endpoint, **batching)
    return Variant("by hand", target, context, target.drain, lambda: context.run(target.close))
