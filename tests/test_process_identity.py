"""What the environment says of a process."""

from __future__ import annotations

import pytest

from synapse_otel.process_identity import process_attributes


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        (
            {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "GROUP_RANK": "0"},
            {"synapse.rank": 3, "synapse.world_size": 8, "synapse.local_rank": 1, "synapse.node_rank": 0},
        ),
        (
            {"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"},
            {"synapse.rank": 2, "synapse.world_size": 4, "synapse.local_rank": 0, "synapse.node_rank": 1},
        ),
        (
            {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
            {"synapse.rank": 1, "synapse.world_size": 2, "synapse.local_rank": 1},
        ),
        ({"RANK": "0", "SLURM_PROCID": "7"}, {"synapse.rank": 0}),
        ({"RANK": "none", "WORLD_SIZE": "", "LOCAL_RANK": "-1"}, {}),
        (
            {"SYNAPSE_TRIAL_ID": "t-1", "SYNAPSE_PLUGIN_RELEASE_CHECKSUM": "abc"},
            {
                "synapse.trial_id": "t-1",
                "synapse.plugin.checksum": "abc",
            },
        ),
        ({"SYNAPSE_PLUGIN_RELEASE_CODE": "yolo@1.2"}, {"synapse.plugin.code": "yolo", "synapse.plugin.version": "1.2"}),
        ({"SYNAPSE_PLUGIN_RELEASE_CODE": "yolo"}, {"synapse.plugin.code": "yolo"}),
        ({"SYNAPSE_TRIAL_ID": "x" * 1000}, {"synapse.trial_id": "x" * 256}),
    ],
)
def test_ranks_trials_and_releases(environ: dict[str, str], expected: dict[str, object]) -> None:
    """Of torchrun, SLURM and MPI, the first that says it; what is no number is no rank, and nothing is made up."""
    assert process_attributes(environ) == expected
