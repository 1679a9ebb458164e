"""What importing the package costs in modules, and who may import whom (DESIGN 6)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import synapse_otel
from faults.agents import end_agents

SOURCE = Path(synapse_otel.__file__).parent
PACKAGE = "synapse_otel"
HEAVY = ("grpc", "requests", "typer", "rich", "pydantic_settings", "opentelemetry.sdk")
SENDING = ("google.protobuf", "requests", "grpc", "opentelemetry.sdk.metrics", "opentelemetry.sdk.trace")
ANYTHING = ("",)


@dataclass(frozen=True)
class Rule:
    """What some modules may import.

    Attributes:
        who: The modules or packages it holds for, without the name of ours.
        project: What of the project they may import, themselves always; `""` is everything.
        late: What of the project they may import inside of functions and for type checking only.
        never: What of the project they may not import, whatever the two others say.
        foreign: What of the standard library and of others they may not import, wherever.
        but: Those of them that it does not hold for.
    """

    who: tuple[str, ...]
    project: tuple[str, ...] = ANYTHING
    late: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


NETWORKS = ("requests", "urllib3", "urllib.request", "grpc", "socket", "ssl", "http", "socketserver", "asyncio")
LOGGERS = ("otel_logger", "process_identity", "run_identity", "run_end", "span_scope", "stacktraces")

RULES = {
    "the journal knows nothing of OpenTelemetry, of networks, or of the rest": Rule(
        who=("journal",),
        project=("left_behind",),
        foreign=("opentelemetry", *NETWORKS),
    ),
    "the projection is pure: record types and the data model, no files, no threads, no clocks": Rule(
        who=("projection",),
        project=("journal.records", "secret_keys"),
        foreign=("os", "io", "pathlib", "time", "datetime", "threading", "multiprocessing", "subprocess", *NETWORKS),
    ),
    "the export joins journal, projection and exporters": Rule(
        who=("export",),
        project=("journal", "projection", "models", "secret_keys"),
    ),
    "the agent ships as the threads do, with the same export": Rule(
        who=("agent",),
        project=("export", "journal", "models"),
    ),
    "the loggers record into the journal; what ships is imported for a run, not with the package": Rule(
        who=LOGGERS,
        project=("journal", "values", "secret_keys", "models", "logger", "projection.names", "left_behind", *LOGGERS),
        late=("export", "shipping", "console"),
    ),
    "values and keys stand alone": Rule(who=("values", "secret_keys", "models", "left_behind"), project=()),
    "the agent is known to who asks for one, and to those who show it": Rule(
        who=ANYTHING, never=("agent",), but=("shipping", "cli")
    ),
    "nobody imports what stands on top, but itself": Rule(who=ANYTHING, never=("cli", "testing")),
    "the Synapse SDK is known to its own part only, and to the command line, which runs its actions": Rule(
        who=ANYTHING, never=("sdk",), but=("cli",)
    ),
    "what needs the Synapse SDK to be there stays in its own part": Rule(
        who=ANYTHING, foreign=("synapse_sdk", "ray", "wrapt"), but=("sdk", "cli.target")
    ),
    "what plugins hold imports nothing that ships before it is used": Rule(
        who=("__init__", "actions", "console", "context", "environment", "logger", "step_contexts", "steps"),
        project=(
            *("actions", "console", "context", "environment", "left_behind", "logger", "models", "otel_logger"),
            *("secret_keys", "step_contexts", "steps", "values"),
        ),
        late=("event_loop", "export.settings", "projection.redaction"),
    ),
}


@dataclass(frozen=True)
class Import:
    """An import statement: where it is, what it names, and whether it is done when its module is imported."""

    place: str
    module: str
    late: bool


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package by its name without the package's."""
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts), file


NAMES = frozenset(name for name, _ in modules())


def imports(file: Path) -> Iterator[Import]:
    """Every import in a file, those of single modules of our packages resolved."""
    yield from _walk(ast.parse(file.read_text()), file, late=False)


def _walk(node: ast.AST, file: Path, *, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        place = f"{file.relative_to(SOURCE)}:{getattr(child, 'lineno', 0)}"
        if isinstance(child, ast.Import):
            yield from (Import(place, alias.name, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{place}: imports are absolute"
            yield from (Import(place, _target(child.module or "", alias.name), late) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _walk(child, file, late=True)
        else:
            yield from _walk(child, file, late=late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def _target(module: str, name: str) -> str:
    whole = f"{module}.{name}"
    return whole if module == PACKAGE or whole.removeprefix(f"{PACKAGE}.") in NAMES else module


def under(module: str, packages: tuple[str, ...]) -> bool:
    return any(not package or module == package or module.startswith(f"{package}.") for package in packages)


def broken(rule: Rule, importer: str, found: Import) -> bool:
    module = found.module.removeprefix(f"{PACKAGE}.")
    if module == found.module and module != PACKAGE:
        return under(module, rule.foreign)
    own = tuple(who for who in rule.who if who and under(importer, (who,)))
    if under(module, rule.never):
        return not under(importer, tuple(package for package in rule.never if under(module, (package,))))
    return not under(module, (*own, *rule.project, *(rule.late if found.late else ())))


@pytest.mark.parametrize("name", RULES)
def test_who_may_import_whom(name: str) -> None:
    """No import in the source tree breaks a rule."""
    rule = RULES[name]
    violations = [
        f"{found.place} imports {found.module}{' late' if found.late else ''}"
        for importer, file in modules()
        if under(importer, rule.who) and not under(importer, rule.but)
        for found in imports(file)
        if broken(rule, importer, found)
    ]
    assert violations == []


def test_the_rules_speak_of_modules_that_there_are() -> None:
    """A rule about a package that was renamed would hold for nothing."""
    named = {module for rule in RULES.values() for group in (rule.who, rule.project, rule.late) for module in group}
    assert {module for module in named | {"cli", "sdk", "testing"} if module and module not in NAMES} == set()


@pytest.mark.parametrize(
    ("importer", "imported", "late", "allowed"),
    [
        ("journal.writer", "synapse_otel.journal.format", False, True),
        ("journal.writer", "synapse_otel.values", False, False),
        ("journal.writer", "opentelemetry.trace", True, False),
        ("journal.writer", "socket", False, False),
        ("journal.writer", "socketserver_of_ours", False, True),
        ("projection.spans", "synapse_otel.journal.records", False, True),
        ("projection.spans", "synapse_otel.journal.reader", False, False),
        ("projection.spans", "opentelemetry.sdk.trace", False, True),
        ("projection.spans", "time", True, False),
        ("otel_logger", "synapse_otel.export.plan", False, False),
        ("otel_logger", "synapse_otel.export.plan", True, True),
        ("cli.show", "synapse_otel.cli.find", False, True),
        ("cli.show", "synapse_otel.testing", True, False),
        ("context", "synapse_otel.cli", True, False),
        ("context", "synapse_otel.sdk.local", True, False),
        ("cli.run", "synapse_otel.sdk.local", True, True),
        ("otel_logger", "synapse_sdk.loggers", True, False),
        ("sdk.logger", "synapse_sdk.loggers", False, True),
    ],
)
def test_the_rules_tell_right_from_wrong(importer: str, imported: str, late: bool, allowed: bool) -> None:
    """The check itself: what it lets pass and what it finds."""
    found = Import("made up", imported, late)
    is_broken = any(
        broken(rule, importer, found)
        for rule in RULES.values()
        if under(importer, rule.who) and not under(importer, rule.but)
    )
    assert is_broken != allowed


def test_importing_the_package_imports_nothing_heavy() -> None:
    """Exporters, grpc, the SDK, typer and rich are imported where they are used."""
    code = f"import sys, {PACKAGE}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(("shipper", "endpoint"), [("off", ""), ("thread", ""), ("agent", "http://127.0.0.1:9")])
def test_a_process_that_sends_nothing_itself_imports_nothing_that_sends(
    shipper: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run that is kept, or that the agent ships, opens and reports without protobuf, clients and the data model."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", shipper)
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(tmp_path))
    monkeypatch.setenv("SYNAPSE_OTEL_AGENT_IDLE", "0")
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0")
    code = f"""if True:
        import sys, {PACKAGE}
        with {PACKAGE}.RuntimeContext.open("job-1") as ctx:
            ctx.set_metrics({{"loss": 0.5}})
            ctx.log_message("at work")
        print(ctx.report().accepted, [name for name in {SENDING!r} if name in sys.modules])
    """
    try:
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    finally:
        end_agents(tmp_path, wait=False)
    assert result.stdout == "4 []\n"
