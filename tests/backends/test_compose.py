"""What `synapse-otel up` starts is sound as far as that can be told without Docker; Grafana itself is not here."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from backends import compose
from backends.otelcol import example
from synapse_otel.cli import up
from synapse_otel.cli.compose import PORTS


@pytest.fixture(scope="module")
def lgtm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the container of Grafana and all that is behind it would see."""
    return compose.lay_out("lgtm", tmp_path_factory.mktemp("lgtm"))


def test_the_services_are_those_of_the_specification() -> None:
    """The Compose Specification's own parser reads the file, and finds Grafana's container and Jaeger's."""
    assert sorted(compose.services()) == ["jaeger", "lgtm"]


def test_a_word_that_the_specification_does_not_have_would_be_found(tmp_path: Path) -> None:
    """The parser refuses the file with one word wrong, so that accepting it says something."""
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(compose.FILE.read_text().replace("mem_limit:", "memory_limit:"))

    parsed = compose.parse(wrong)

    assert parsed.returncode == 1
    assert "memory_limit" in parsed.stderr


def test_every_image_is_of_one_version() -> None:
    """What is started today is started in a year: each image names a full version."""
    images = [service["image"] for service in compose.services().values()]

    assert [image for image in images if not re.fullmatch(r"[\w.-]+/[\w.-]+:\d+\.\d+\.\d+", image)] == []


def test_ports_are_open_on_loopback_only_and_are_those_that_up_knows() -> None:
    """Nobody on the network reaches what has no login, and `up` tries, names and prints no other ports than these."""
    ports = [port for service in compose.services().values() for port in service["ports"]]
    printed = {int(port) for url in (up.ENDPOINT, up.GRAFANA, up.JAEGER) for port in re.findall(r":(\d+)", url)}

    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert sorted(int(port["published"]) for port in ports) == sorted(PORTS)
    assert printed <= set(PORTS)


def test_every_service_is_bounded_and_watched() -> None:
    """Each service has a health check, which `up` waits for, has limits, and comes back after a restart."""
    wanted = {"healthcheck", "mem_limit", "pids_limit", "cpu_shares", "security_opt", "restart"}

    assert {name: wanted - set(service) for name, service in compose.services().items()} == {
        "lgtm": set(),
        "jaeger": set(),
    }


def test_every_mounted_path_is_there_and_cannot_be_written() -> None:
    """Docker would make an empty folder of a path that is missing; and no container may change these files."""
    sources = [Path(mount["source"]) for mount in compose.mounts()]

    assert [path for path in sources if not path.exists()] == []
    assert [path for path in sources if not path.is_relative_to(compose.FOLDER)] == []
    assert [mount["source"] for mount in compose.mounts() if not mount.get("read_only")] == []


def test_the_image_is_told_of_the_overlay_for_its_collector() -> None:
    """The image's Collector is given, besides its own configuration, the file that is mounted for it."""
    told = compose.services()["lgtm"]["environment"]["OTELCOL_EXTRA_ARGS"]

    assert told == f"--config=file:{compose.COLLECTOR_CONFIGURATIONS[1]}"


def test_the_collector_accepts_its_configuration(lgtm: Path, otelcol: Path) -> None:
    """Both files together are valid for the real Collector, with the variables that the container has."""
    done = subprocess.run(
        [otelcol, "validate", *compose.collector_arguments(lgtm)],
        env=compose.services()["lgtm"]["environment"],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_loki_makes_no_stream_of_each_process(lgtm: Path) -> None:
    """Loki is told of the file that is mounted for it, and to make labels of no more than names a service."""
    arguments = compose.services()["lgtm"]["environment"]["LOKI_EXTRA_ARGS"].split()
    (file,) = [argument.partition("=")[2] for argument in arguments if argument.startswith("-runtime-config.file=")]
    told = yaml.safe_load(compose.inside(lgtm, file).read_text())
    labels = {
        "action": "index_label",
        "attributes": ["service.name", "service.namespace", "deployment.environment.name"],
    }

    assert told == {
        "overrides": {
            "fake": {"otlp_config": {"resource_attributes": {"ignore_defaults": True, "attributes_config": [labels]}}}
        }
    }
    assert example("limits_config") == {"limits_config": told["overrides"]["fake"]}


def test_prometheus_accepts_its_configuration(lgtm: Path, promtool: Path) -> None:
    """Prometheus' own check passes, with the alert rules where the configuration looks for them in the container."""
    config = lgtm / "otel-lgtm" / "prometheus.yaml"
    done = subprocess.run([promtool, "check", "config", config], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "SUCCESS: 1 rule files found" in done.stdout
    assert f"SUCCESS: {config} is valid prometheus config file syntax" in done.stdout


def test_jaeger_accepts_its_configuration(jaeger: Path, tmp_path: Path) -> None:
    """The real Jaeger validates what is mounted for it, with the arguments and variables of its container."""
    service, root = compose.services()["jaeger"], compose.lay_out("jaeger", tmp_path)
    arguments = [argument.replace("=/", f"={root}/") for argument in service["command"]]
    done = subprocess.run([jaeger, "validate", *arguments], env=service["environment"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_grafana_has_the_data_sources_that_the_dashboards_ask(lgtm: Path) -> None:
    """Each data source that a dashboard begins with is there, of its type; and metrics are shown to the second."""
    sources = _data_sources(lgtm)
    types = {uid: source["type"] for uid, source in sources.items()}
    asked = [_asked(dashboard) for dashboard in _dashboards(lgtm)]

    assert asked
    assert [one for one in asked if not one or not one.items() <= types.items()] == []
    assert sources["prometheus"]["jsonData"]["timeInterval"] == "1s"


def test_the_data_sources_are_where_the_containers_are(lgtm: Path) -> None:
    """Grafana asks its neighbours in its own container at the image's ports, and Jaeger by the name of its service."""
    assert {uid: source["url"] for uid, source in _data_sources(lgtm).items()} == {
        "prometheus": "http://127.0.0.1:9090",
        "loki": "http://127.0.0.1:3100",
        "tempo": "http://127.0.0.1:3200",
        "jaeger": "http://jaeger:16686",
    }


def test_grafana_shows_the_dashboards_and_begins_with_the_one_that_up_prints(lgtm: Path) -> None:
    """The folder that Grafana reads dashboards from has them; its first page is that of all runs."""
    (provider,) = _provisioned(lgtm, "dashboards/synapse-otel.yaml")["providers"]
    variables = compose.services()["lgtm"]["environment"]
    home = compose.inside(lgtm, variables["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    assert home.parent == compose.inside(lgtm, provider["options"]["path"])
    assert json.loads(home.read_text())["uid"] == up.GRAFANA.rpartition("/")[2]


def _data_sources(root: Path) -> dict[str, dict[str, Any]]:
    sources = _provisioned(root, "datasources/grafana-datasources.yaml")["datasources"]
    return {source["uid"]: source for source in sources}


def _provisioned(root: Path, file: str) -> dict[str, Any]:
    provisioned = yaml.safe_load(compose.inside(root, f"/otel-lgtm/grafana/conf/provisioning/{file}").read_text())
    assert provisioned.pop("apiVersion") == 1
    return dict(provisioned)


def _dashboards(root: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in (root / "otel-lgtm" / "synapse-otel").glob("*.json")]


def _asked(dashboard: dict[str, Any]) -> dict[str, str]:
    """Return the uids of the data sources that a dashboard begins with, and their types."""
    variables = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"]
    return {variable["current"]["value"]: variable["query"] for variable in variables}
