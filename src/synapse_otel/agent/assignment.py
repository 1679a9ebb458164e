"""What an agent is given when it is started: the export configuration, through a pipe and nowhere else.

So headers and keys are neither on the disk nor in the arguments or the environment of a process that `ps` shows.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from synapse_otel.export.settings import TelemetrySettings

_OF_EXPORT = (
    *("OTEL_EXPORTER_", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"),
    *("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_ATTRIBUTE_", "OTEL_SPAN_", "OTEL_EVENT_", "OTEL_LOGRECORD_"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC", "GRPC_"),
)
_FILES = ("CERTIFICATE", "CLIENT_KEY", "_FILE", "_DIR", "BUNDLE", "NETRC")
_OF_ONE_RUN = {"finish_timeout", "service_version", "shipper"}
_ROUNDS = 5000
"""Of the hash that names the agent's directory: slow enough that a short password cannot be guessed from it."""


class Assignment(msgspec.Struct, frozen=True):
    """What an agent needs to know.

    Attributes:
        path: Where to import from, as the process that starts it does.
        settings: Ours that are about shipping.
        environ: The variables that are about shipping; files in them as absolute paths.
    """

    path: list[str]
    settings: dict[str, Any]
    environ: dict[str, str]

    @property
    def root(self) -> Path:
        """The journal directory."""
        return Path(self.settings["journal_dir"])

    def fingerprint(self) -> str:
        """Return what tells this configuration from others, with this version of the package on this host.

        Pipes are a matter of one host, also where the journal directory is on a file system that several have.
        """
        known = [
            version("synapse-otel"),
            socket.gethostname(),
            os.getuid(),
            self.settings,
            sorted(self.environ.items()),
        ]
        return hashlib.pbkdf2_hmac("sha256", msgspec.json.encode(known), b"synapse-otel agent", _ROUNDS, 8).hex()


def assignment(settings: TelemetrySettings, environ: Mapping[str, str] = os.environ) -> Assignment:
    """Return what an agent needs to ship the runs of `settings` in this environment."""
    ours = settings.model_dump(mode="json", exclude=_OF_ONE_RUN)
    ours["journal_dir"] = str(settings.journal_dir.absolute())
    wanted = {name: value for name, value in environ.items() if name.upper().startswith(_OF_EXPORT)}
    return Assignment(
        path=[os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100  # an empty entry is the current directory
        settings=ours,
        environ={name: _absolute(name, value) for name, value in wanted.items()},
    )


def _absolute(name: str, value: str) -> str:
    return os.path.abspath(value) if value and name.upper().endswith(_FILES) else value  # noqa: PTH100  # likewise
