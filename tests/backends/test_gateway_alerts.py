"""The alert rules on the gateway, by Prometheus' own tool, over the series that the real gateway has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import requests
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from backends.otelcol import FOLDER, TOKEN, GatewayFiles, Otelcol, gateway_before, own_metrics
from backends.promtool import promtool_says
from backends.servers import free_port, wait_for
from synapse_otel.testing import Collector, Status

RULES = FOLDER / "prometheus" / "gateway-alerts.yaml"
TESTS = RULES.with_name("gateway-alerts_test.yaml")
ALERTS = {"GatewayDroppedTelemetry", "GatewayQueueFillsUp", "GatewayShortOfMemory"}


def test_the_rules_are_valid(promtool: Path) -> None:
    """promtool finds nothing wrong in them, doubtful things included."""
    code, said = promtool_says(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, said


def test_each_alert_fires_where_it_should_and_only_there(promtool: Path) -> None:
    """promtool's unit tests of the rules pass, and expect each alert at some times, and none of it at others."""
    code, said = promtool_says(promtool, "test", "rules", TESTS)
    assert code == 0, said
    checks = [check for test in yaml.safe_load(TESTS.read_text())["tests"] for check in test["alert_rule_test"]]
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == ALERTS
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == ALERTS


def test_the_unit_tests_notice_an_alert_that_never_fires(promtool: Path, tmp_path: Path) -> None:
    """With rules that never fire the unit tests fail, for each alert."""
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["expr"] = f"({rule['expr']}) and on () vector(0) > 1"
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules))
    shutil.copy(TESTS, tmp_path)
    code, said = promtool_says(promtool, "test", "rules", tmp_path / TESTS.name)
    assert (code, set(re.findall(r"alertname: (\w+)", said))) == (1, ALERTS), said


def test_each_alert_says_which_gateway_and_what_to_do() -> None:
    """Each has a severity, and names the gateway in its summary and its description."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert {rule["alert"] for rule in group["rules"]} == ALERTS
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert "{{ $labels.instance }}" in rule["annotations"]["description"]


Series = tuple[str, frozenset[str]]


def series(line: str) -> Series:
    """Return the name of a series and of its labels, without those of the Prometheus that scrapes it."""
    return line.partition("{")[0], frozenset(re.findall(r'(\w+)="', line)) - {"job", "instance"}


def send_one_of_each(gateway: Otelcol, authority: Path) -> None:
    """Send a span, a sample and a log record, whatever the answers are."""
    traces, metrics, logs = ExportTraceServiceRequest(), ExportMetricsServiceRequest(), ExportLogsServiceRequest()
    traces.resource_spans.add().scope_spans.add().spans.add(name="span")
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    logs.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-protobuf"}
    for signal, request in (("traces", traces), ("metrics", metrics), ("logs", logs)):
        url, body = f"https://{gateway.http}/v1/{signal}", request.SerializeToString()
        requests.post(url, data=body, headers=headers, verify=str(authority), timeout=5)


@pytest.mark.parametrize(
    ("part", "memory", "state"),
    [("otelcol_exporter_", "512", "Everything is ready"), ("otelcol_processor_", "2", "Memory usage is above")],
    ids=["refused behind it", "short of memory"],
)
def test_the_series_are_those_of_the_real_gateway(
    part: str, memory: str, state: str, otelcol: Path, tmp_path: Path
) -> None:
    """What the rules are tested with, the gateway tells: of what is dropped, of its queues, and of its memory."""
    given = {entry["series"] for test in yaml.safe_load(TESTS.read_text())["tests"] for entry in test["input_series"]}
    tested = {series(line) for line in given if line.startswith(part)}
    files, port = GatewayFiles.create(tmp_path / "files", "127.0.0.1"), str(free_port())
    settings = {"GATEWAY_MEMORY_MIB": memory, "GATEWAY_METRICS_PORT": port}
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path, **settings) as between:
        far_end.fail(Status(400))
        wait_for(lambda: state in between.server.output(), f"the gateway says: {state}")

        def tells() -> bool:
            send_one_of_each(between, files.authority)  # again and again: its memory may suffice for a moment
            return tested <= {series(line) for line in own_metrics(port)}

        wait_for(tells, f"it tells of {tested}")
