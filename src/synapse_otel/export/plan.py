"""How runs are shipped: everything that a shipper needs to know, from the settings and the environment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version

from synapse_otel.export import settings as config
from synapse_otel.export.delivery import Destination
from synapse_otel.export.exporters import exporters
from synapse_otel.export.notices import Notices
from synapse_otel.journal.quota import Quota
from synapse_otel.journal.records import Identity
from synapse_otel.projection.attributes import DEFAULT_LIMITS, AttributeLimits
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin
from synapse_otel.secret_keys import SecretKeys


@dataclass(frozen=True, slots=True)
class ShippingPlan:
    """Everything that shipping needs to know.

    Attributes:
        signals: Where each signal goes.
        quota: What the journal directory may hold.
        version: Of this package.
        redactor: Takes credentials out of strings.
        limits: OpenTelemetry's attribute limits.
        interval: Seconds between two repetitions of the progress gauges.
        keep: Whether delivered journals are kept.
    """

    signals: dict[config.Signal, config.SignalSettings]
    quota: Quota
    version: str
    redactor: Redactor = field(default_factory=Redactor)
    limits: AttributeLimits = DEFAULT_LIMITS
    interval: float = 60.0
    keep: bool = False

    def kept(self) -> ShippingPlan:
        """Return the same without anything being sent."""
        return replace(self, signals={name: replace(one, exporter="none") for name, one in self.signals.items()})

    @property
    def sends(self) -> bool:
        """Whether any signal is sent."""
        return any(settings.exporter != "none" for settings in self.signals.values())

    @property
    def has_grpc(self) -> bool:
        """Whether any signal is sent by gRPC."""
        return any((one.exporter, one.protocol) == ("otlp", "grpc") for one in self.signals.values())

    def origin(self, identity: Identity) -> Origin:
        """Return the origin of the records that `identity` wrote."""
        return Origin(identity, self.version, self.redactor, self.limits)

    def destination(self, notices: Notices | None = None) -> Destination:
        """Return a destination with new connections, one without any where nothing is sent."""
        return Destination(exporters(self.signals), notices or Notices(), self.interval, self.keep)


def shipping_plan(settings: config.TelemetrySettings) -> ShippingPlan:
    """Return how runs are shipped, from our settings and the standard variables of the environment.

    Raises:
        SettingsError: If a variable has a wrong value; it names the variable.
    """
    count, length, events = config.attribute_limits()
    return ShippingPlan(
        signals=config.signal_settings(),
        quota=Quota(settings.quota_bytes, settings.quota_days * 86_400),
        version=version("synapse-otel"),
        redactor=redactor(settings),
        limits=AttributeLimits(count, length, min(DEFAULT_LIMITS.events, events)),
        interval=config.metric_export_interval(),
        keep=settings.keep_delivered,
    )


def redactor(settings: config.TelemetrySettings) -> Redactor:
    """Return what takes credentials out of strings, with the patterns that were added.

    Raises:
        SettingsError: If one of them is no regular expression.
    """
    try:
        keys = SecretKeys(settings.redaction_keys)
        return Redactor(settings.redaction_patterns, enabled=settings.redaction, is_secret=keys)
    except ValueError as error:
        raise config.SettingsError(f"SYNAPSE_OTEL_REDACTION_PATTERNS or _KEYS: {error}") from error
