"""Every configuration is one that the Collector accepts, and the manifest builds what they need and no more."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from backends import otelcol as collectors
from backends.programs import MANIFEST

_SECTIONS = ("receivers", "processors", "exporters", "connectors", "extensions")


def run(otelcol: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([otelcol, *arguments], env=environ, capture_output=True, text=True, timeout=30, check=False)


def components(otelcol: Path) -> dict[tuple[str, str], str]:
    """The module of each component that the program has, without its version."""
    listed = yaml.safe_load(run(otelcol, "components").stdout)
    named = {
        (section, component["name"]): component["module"]
        for section in _SECTIONS
        for component in listed[section] or []
    }
    schemes = {("providers", provider["scheme"]): provider["module"] for provider in listed["providers"]}
    return {key: module.split()[0] for key, module in {**named, **schemes}.items()}


def used() -> set[tuple[str, str]]:
    """The components of all configurations, and what reads a file and its variables."""
    found = {("providers", "file"), ("providers", "env")}
    for path in collectors.CONFIGURATIONS:
        content = collectors.read(path)
        found |= {(section, name.split("/")[0]) for section in _SECTIONS for name in content.get(section, {})}
    return found


def test_the_configurations_are_found() -> None:
    """What the other tests look at is there."""
    names = {path.name for path in collectors.CONFIGURATIONS}
    assert {"local.yaml", "jaeger.yaml", "grafana.yaml", "gateway.yaml"} <= names


@pytest.mark.parametrize("path", collectors.CONFIGURATIONS, ids=lambda path: path.name)
def test_a_configuration_is_valid(path: Path, otelcol: Path, tmp_path: Path) -> None:
    """The Collector accepts it as it stands; only the gateway's files have no default."""
    files = collectors.GatewayFiles.create(tmp_path, "localhost")
    environ = files.variables() if path.name == "gateway.yaml" else {}
    done = run(otelcol, "validate", f"--config={path}", **environ)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", collectors.CONFIGURATIONS, ids=lambda path: path.name)
def test_it_listens_on_loopback_unless_told_otherwise(path: Path) -> None:
    """No default of an address is reachable from outside, or leads to another machine."""
    hosts = re.findall(r":-(?:https?://)?([\w.]+):\d+|_HOST:-([\w.]+)", path.read_text())
    assert {host for found in hosts for host in found if host} == {"127.0.0.1"}


def test_the_gateway_has_no_default_credentials(otelcol: Path) -> None:
    """Without tokens and a certificate the gateway does not start, and says what is missing."""
    done = run(otelcol, "validate", f"--config={collectors.FOLDER / 'gateway.yaml'}")
    assert done.returncode == 1
    assert "no bearer token provided" in done.stderr
    assert "TLS configuration must include both certificate and key" in done.stderr


def test_the_manifest_lists_what_the_configurations_use(otelcol: Path) -> None:
    """Each component used is built, and each that is built is used."""
    has = components(otelcol)
    manifest = yaml.safe_load(MANIFEST.read_text())
    listed = {entry["gomod"].split()[0] for section in (*_SECTIONS, "providers") for entry in manifest.get(section, [])}
    assert {has[component] for component in used()} == listed


def test_the_manifest_is_of_one_release() -> None:
    """All modules have the version of the distribution, or the stable one that goes with it."""
    manifest = yaml.safe_load(MANIFEST.read_text())
    version = manifest["dist"]["version"]
    versions = {entry["gomod"].split()[1] for section in _SECTIONS for entry in manifest.get(section, [])}
    assert versions == {f"v{version}"}
    assert {entry["gomod"].split()[1] for entry in manifest["providers"]} == {"v1.67.0"}


def test_every_variable_is_documented_with_its_default() -> None:
    """The table in the folder's README has each variable of each configuration, and no other."""
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (?:`(.+?)`|none) \| (.+?) \|", (collectors.FOLDER / "README.md").read_text(), re.M
    )
    names = [path.name for path in collectors.CONFIGURATIONS]
    documented = {
        (name, variable, default)
        for variable, default, places in rows
        for name in (names if places == "all" else re.findall(r"`(.+?)`", places))
    }
    written = {
        (path.name, variable, default)
        for path in collectors.CONFIGURATIONS
        for variable, default in re.findall(r"\$\{env:(\w+)(?::-([^}]+))?\}", path.read_text())
    }
    assert documented == written


def test_a_second_configuration_can_be_laid_over_the_gateway(otelcol: Path, tmp_path: Path) -> None:
    """What backends need besides, as the README says, is added without editing."""
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(collectors.example("exporters")))
    files = collectors.GatewayFiles.create(tmp_path / "files", "localhost")
    configurations = [f"--config={collectors.FOLDER / 'gateway.yaml'}", f"--config={tmp_path / 'own.yaml'}"]
    done = run(otelcol, "print-config", *configurations, **files.variables())
    assert done.returncode == 0, done.stderr
    merged = yaml.safe_load(done.stdout)["exporters"]["otlp_http/metrics"]
    assert "X-Scope-OrgID" in str(merged["headers"])
    assert merged["sending_queue"]["storage"] == "file_storage"


def test_the_gateway_on_kubernetes_has_the_room_that_it_is_told_of(otelcol: Path, tmp_path: Path) -> None:
    """Its memory, its refusal and Go's limit are in that order, its volume is the queue's, and it starts like this."""
    text = (collectors.FOLDER / "gateway.yaml").read_text()
    default = dict(re.findall(r"\$\{env:(\w+):-([^}]+)\}", text))
    spec = collectors.example("kind")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (volume,) = spec["volumeClaimTemplates"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}

    memory, limit = container["resources"]["limits"]["memory"], int(variables["GATEWAY_MEMORY_MIB"])
    assert (memory, variables["GOMEMLIMIT"]) == ("1Gi", "600MiB")
    assert 600 < 0.8 * limit < limit <= 0.8 * 1024
    assert mounts[volume["metadata"]["name"]] == default["GATEWAY_QUEUE"]
    room = volume["spec"]["resources"]["requests"]["storage"]
    assert int(room.removesuffix("Gi")) * 2**30 >= 6 * int(default["GATEWAY_QUEUE_BYTES"])
    files = collectors.GatewayFiles.create(tmp_path, "localhost").variables()
    done = run(otelcol, "validate", f"--config={collectors.FOLDER / 'gateway.yaml'}", **(variables | files))
    assert (done.returncode, done.stderr) == (0, "")
    assert set(variables) - {"GOMEMLIMIT"} <= set(re.findall(r"\$\{env:(\w+)", text))
