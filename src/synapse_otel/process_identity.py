"""What a process is, as the environment says: its rank among others, its trial, its plugin."""

from __future__ import annotations

import os
from collections.abc import Mapping

from synapse_otel.projection import names

_RANKS = {
    # torchrun and what follows it; SLURM; Open MPI; MPICH and Intel MPI.
    names.RANK: ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"),
    names.WORLD_SIZE: ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"),
    names.LOCAL_RANK: ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"),
    names.NODE_RANK: ("GROUP_RANK", "NODE_RANK", "SLURM_NODEID", "OMPI_COMM_WORLD_NODE_RANK"),
}
_TEXTS = {
    names.TRIAL_ID: "SYNAPSE_TRIAL_ID",
    names.PLUGIN_CHECKSUM: "SYNAPSE_PLUGIN_RELEASE_CHECKSUM",
}
_RELEASE = "SYNAPSE_PLUGIN_RELEASE_CODE"
_MAX_TEXT = 256
_MOST_DIGITS = 18


def process_attributes(environ: Mapping[str, str] = os.environ) -> dict[str, str | int]:
    """Return what is known of this process, as resource attributes.

    Args:
        environ: The environment. A plugin's release is ``code@version`` there, as the Synapse SDK has it.
    """
    ranks = {name: rank for name, variables in _RANKS.items() if (rank := _rank(environ, variables)) is not None}
    texts = {name: value[:_MAX_TEXT] for name, variable in _TEXTS.items() if (value := environ.get(variable))}
    code, at, version = environ.get(_RELEASE, "").rpartition("@")
    release = {names.PLUGIN_CODE: code if at else version, names.PLUGIN_VERSION: version if at else ""}
    return {**ranks, **texts, **{name: value[:_MAX_TEXT] for name, value in release.items() if value}}


def _rank(environ: Mapping[str, str], variables: tuple[str, ...]) -> int | None:
    """Return the number that the first variable there is holds; what is no number is no rank of ours."""
    value = next((environ[variable] for variable in variables if variable in environ), "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else None
