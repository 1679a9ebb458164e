"""What those who run the gateway rely on: its health, its own metrics, tokens that are exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from backends.otelcol import OLD_TOKEN, GatewayFiles, gateway_before, own_metrics
from backends.servers import free_address, free_port, wait_for
from synapse_otel.testing import Collector


@pytest.fixture
def files(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles.create(tmp_path / "files", "127.0.0.1")


def test_the_health_check_answers_without_a_token(otelcol: Path, files: GatewayFiles, tmp_path: Path) -> None:
    """An orchestrator sees that the gateway is up, also while its backends are away."""
    address = free_address()
    with Collector() as far_end:
        far_end.stop()
        with gateway_before(far_end, otelcol, files, tmp_path, GATEWAY_HEALTH_ADDRESS=address):
            answer = requests.get(f"http://{address}", timeout=5)

    assert (answer.status_code, answer.json()["status"]) == (200, "Server available")


def test_its_own_metrics_are_where_prometheus_looks(otelcol: Path, files: GatewayFiles, tmp_path: Path) -> None:
    """They are offered on the host and port that are set, and nowhere else."""
    port = str(free_port())
    where = {"GATEWAY_METRICS_HOST": "127.0.0.2", "GATEWAY_METRICS_PORT": port}
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path, **where):
        assert [line for line in own_metrics(port, "127.0.0.2") if line.startswith("otelcol_exporter_queue_size{")]
        with pytest.raises(requests.ConnectionError):
            own_metrics(port)


def test_tokens_are_exchanged_without_a_restart(otelcol: Path, files: GatewayFiles, tmp_path: Path) -> None:
    """Each line of the file is a token, and a token that is taken out is refused from then on."""
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path) as between:
        url = f"https://{between.http}/v1/logs"

        def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-protobuf"}
            return requests.post(url, headers=headers, verify=str(files.authority), timeout=5).status_code

        assert [status(OLD_TOKEN), status("made-up-new-token")] == [200, 401]
        files.tokens.write_text("made-up-new-token\n")
        wait_for(lambda: [status(OLD_TOKEN), status("made-up-new-token")] == [401, 200], "the file is read again")
