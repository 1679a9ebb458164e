"""The job and the plugin, for the telemetry that other instrumentations send from the same process."""

from __future__ import annotations

import os

from opentelemetry.sdk.resources import Resource, ResourceDetector

from synapse_otel.process_identity import process_attributes
from synapse_otel.projection import names
from synapse_otel.run_identity import JOB_VARIABLES


class SynapseResourceDetector(ResourceDetector):
    """Detects what a process of the Synapse platform is: ``OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=synapse``.

    It gives ``job_id``, from ``SYNAPSE_JOB_ID`` or ``RAY_JOB_ID``, ``synapse.plugin.*``, from the variables of a
    plugin's release, ``synapse.rank`` and what belongs to it in distributed training, and ``synapse.trial_id``: each
    where the environment says it.
    """

    def detect(self) -> Resource:
        """Return the resource."""
        job_id = next((value for variable in JOB_VARIABLES if (value := os.environ.get(variable))), None)
        job = {} if job_id is None else {names.JOB_ID: job_id}
        return Resource({**job, **process_attributes()})
