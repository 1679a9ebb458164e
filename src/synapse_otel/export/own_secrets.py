"""The secrets of the export configuration itself, which a receiver may repeat in what it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from synapse_otel.export.settings import SignalSettings
from synapse_otel.projection.redaction import REDACTED

_SHORTEST = 6
"""Characters of a header's value from which on it is taken for a secret: `1` or `true` is none."""


class OwnSecrets:
    """Takes the values of headers and the password of the URL out of what is said.

    Args:
        settings: How a signal is sent.
    """

    def __init__(self, settings: SignalSettings) -> None:
        # The longest first, so that nothing is left of one that has another in it.
        secrets = sorted(set(_secrets(settings)), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def hidden(self, text: str) -> str:
        """Return `text` without them."""
        return self._pattern.sub(REDACTED, text) if self._pattern else text


def _secrets(settings: SignalSettings) -> Iterator[str]:
    password = urlsplit(settings.endpoint).password or ""
    values = [word for value in settings.headers.values() for word in (value, *value.split())]
    return (value for value in (*values, password, unquote(password)) if len(value) >= _SHORTEST)
