"""The settings of a command, with errors that name the variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synapse_otel.cli.errors import CliError

if TYPE_CHECKING:
    from synapse_otel.export.plan import ShippingPlan
    from synapse_otel.export.settings import TelemetrySettings
    from synapse_otel.projection.redaction import Redactor


def load_settings() -> TelemetrySettings:
    """Return our settings; what a person sends from the command line is kept for `show`, unless they say otherwise.

    Raises:
        CliError: A variable has a wrong value.
    """
    from synapse_otel.export.settings import TelemetrySettings

    try:
        settings = TelemetrySettings.load()
    except ValueError as error:
        raise CliError(str(error)) from error
    if "keep_delivered" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"keep_delivered": True})


def load_plan(settings: TelemetrySettings) -> ShippingPlan:
    """Return where and how runs are sent.

    Raises:
        CliError: A variable has a wrong value.
    """
    from synapse_otel.export.plan import shipping_plan

    try:
        return shipping_plan(settings)
    except ValueError as error:
        raise CliError(str(error)) from error


def load_redactor(settings: TelemetrySettings) -> Redactor:
    """Return what takes credentials out of everything that is printed.

    Raises:
        CliError: One of the patterns is no regular expression.
    """
    from synapse_otel.projection.redaction import Redactor
    from synapse_otel.secret_keys import SecretKeys

    try:
        keys = SecretKeys(settings.redaction_keys)
        return Redactor(settings.redaction_patterns, enabled=settings.redaction, is_secret=keys)
    except ValueError as error:
        raise CliError(str(error)) from error
