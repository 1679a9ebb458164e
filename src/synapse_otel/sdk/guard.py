"""The one place where what goes wrong inside of us is kept from a plugin that knows nothing of us."""

from __future__ import annotations

import logging
from types import TracebackType

notices = logging.getLogger("synapse_otel")


class guarded:  # noqa: N801  # used like a function
    """Let errors not out, and say what follows from them; interrupts pass.

    Args:
        consequence: What is not done.
    """

    def __init__(self, consequence: str) -> None:
        self._consequence = consequence

    def __enter__(self) -> None:
        return

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(exc, Exception):
            return False
        notices.error(self._consequence, exc_info=exc)
        return True
