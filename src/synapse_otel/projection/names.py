"""Every name that leaves the process: what is ours is under ``synapse.``, the rest is OpenTelemetry's.

The table in the README is tested against this module.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "synapse_otel"

# Span names.
RUN_STARTED: Final = "run started"
DEFAULT_RUN: Final = "run"

# Attributes of ours.
RUN_NAME: Final = "synapse.run.name"
JOB_ID: Final = "job_id"
ACTION: Final = "synapse.action"
ACTION_CATEGORY: Final = "synapse.action.category"
RUN_STATUS: Final = "synapse.run.status"
STEP: Final = "synapse.step"
STEP_STATUS: Final = "synapse.step.status"
STEP_MESSAGE: Final = "synapse.step.message"
CATEGORY: Final = "synapse.category"
LEVEL: Final = "synapse.level"
MESSAGE_KEY: Final = "synapse.message.key"
METRIC_KEY: Final = "synapse.metric.key"
RUNNING: Final = "running"
PART: Final = "synapse.part"
WORKER: Final = "synapse.worker"
DROPPED: Final = "synapse.dropped"

# Where a plugin's own attributes go whose names are ours or reserved: no attribute is ever called `level`.
DATA_PREFIX: Final = "data."
RESERVED: Final = "level"

# What the semantic conventions name.
FILE_PATH: Final = "file.path"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
ERROR_TYPE: Final = "error.type"
LOG_RECORD_UID: Final = "log.record.uid"
MESSAGE: Final = "message"

# Resource attributes of ours.
RANK: Final = "synapse.rank"
WORLD_SIZE: Final = "synapse.world_size"
LOCAL_RANK: Final = "synapse.local_rank"
NODE_RANK: Final = "synapse.node_rank"
TRIAL_ID: Final = "synapse.trial_id"
PLUGIN_CODE: Final = "synapse.plugin.code"
PLUGIN_VERSION: Final = "synapse.plugin.version"
PLUGIN_CHECKSUM: Final = "synapse.plugin.checksum"

# Events.
EVENT_EXCEPTION: Final = "exception"
EVENT_MESSAGE: Final = "message"
LOG_MESSAGE: Final = "synapse.message"
LOG_DEV_EVENT: Final = "synapse.dev_event"
LOG_METRICS: Final = "synapse.metrics"
LOG_RUN_ENDED: Final = "synapse.run.ended"
LOG_RUN_CRASHED: Final = "synapse.run.crashed"
LOG_DROPPED: Final = "synapse.records.dropped"

# Metrics: name, unit, description.
PROGRESS_CURRENT: Final = ("synapse.progress.current", "{item}", "Items done in a category")
PROGRESS_TOTAL: Final = ("synapse.progress.total", "{item}", "Items to do in a category")
PROGRESS_RATIO: Final = ("synapse.progress.ratio", "1", "Share of a category that is done")
PROGRESS_ETA: Final = ("synapse.progress.eta", "s", "Time that a category still needs at its rate so far")
RUN_ACTIVE: Final = ("synapse.run.active", "{run}", "1 while the run lives, 0 when it has ended")
RUN_DURATION: Final = ("synapse.run.duration", "s", "Time since the run began; when it has ended, the time it took")
RECORDS_ACCEPTED: Final = ("synapse_otel.records.accepted", "{record}", "Records whose call has returned")
RECORDS_DELIVERED: Final = ("synapse_otel.records.delivered", "{record}", "Records that the receiver has confirmed")
RECORDS_PENDING: Final = ("synapse_otel.records.pending", "{record}", "Records in the journal, still to be sent")
RECORDS_DROPPED: Final = ("synapse_otel.records.dropped", "{record}", "Records given up for lack of space")
RECORDS_DEAD_LETTERED: Final = (
    "synapse_otel.records.dead_lettered",
    "{record}",
    "Records that the receiver refused for good",
)
DELIVERY_LAG: Final = ("synapse_otel.delivery.lag", "s", "Age of the oldest record that is still to be sent")
JOURNAL_SIZE: Final = ("synapse_otel.journal.size", "By", "Bytes that the journal takes on the disk")
METRIC_PREFIX: Final = "synapse.metric."

DELIVERY: Final = {
    "accepted": RECORDS_ACCEPTED,
    "delivered": RECORDS_DELIVERED,
    "pending": RECORDS_PENDING,
    "dropped": RECORDS_DROPPED,
    "dead_lettered": RECORDS_DEAD_LETTERED,
    "size": JOURNAL_SIZE,
}
"""What the telemetry of a process says of itself, besides the lag: the counts of its `DeliveryReport`, and the size."""

SEVERITY: Final = {
    "debug": 5,
    "info": 9,
    "success": 10,
    "warning": 13,
    "danger": 17,
    "error": 17,
    "critical": 21,
}
"""OpenTelemetry's severity number of each level; ``severity_text`` is the level as the plugin named it."""

FAILURE_LEVELS: Final = frozenset({"danger", "error", "critical"})
