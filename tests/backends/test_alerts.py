"""The alert rules, by Prometheus' own tool; in dashboards/ they are asked of real runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

from backends import grafana
from backends.promtool import promtool_says

RULES = Path(__file__).parents[2] / "collector-config" / "prometheus" / "alerts.yaml"
TESTS = RULES.with_name("alerts_test.yaml")
ALERTS = ("RunStalled", "RunFailed", "RunSilent", "TelemetryDelayed", "TelemetryDropped")


def test_the_rules_are_valid(promtool: Path) -> None:
    """promtool finds nothing wrong in them, doubtful things included."""
    code, said = promtool_says(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, said


def test_each_alert_fires_where_it_should_and_only_there(promtool: Path) -> None:
    """promtool's unit tests of the rules pass."""
    code, said = promtool_says(promtool, "test", "rules", TESTS)
    assert code == 0, said


def test_each_alert_is_tested_firing_and_not_firing() -> None:
    """The unit tests expect each alert at some times, and none of it at others."""
    checks = [check for test in yaml.safe_load(TESTS.read_text())["tests"] for check in test["alert_rule_test"]]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    rests = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fires == rests == set(ALERTS)


def test_the_unit_tests_notice_an_alert_that_never_fires(promtool: Path, tmp_path: Path) -> None:
    """With rules that never fire the unit tests fail, for each alert."""
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["expr"] = f"({rule['expr']}) and on () vector(0) > 1"
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules))
    shutil.copy(TESTS, tmp_path)
    code, said = promtool_says(promtool, "test", "rules", tmp_path / TESTS.name)
    assert (code, set(re.findall(r"alertname: (\w+)", said))) == (1, set(ALERTS)), said


def test_each_alert_says_what_to_do() -> None:
    """Each has a severity, a summary, and a description with the run and the dashboard or command to go on with."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert group["name"] == "synapse"
    alerts = [rule for rule in group["rules"] if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == set(ALERTS)
    for rule in alerts:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert "{{ $labels.job_id }}" in rule["annotations"]["summary"]
        said = rule["annotations"]["description"]
        assert "{{ $labels.job_id }}" in said
        assert "synapse-otel " in said or f'dashboard "{grafana.load("run")["title"]}"' in said
