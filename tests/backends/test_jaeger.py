"""A finished run as a real Jaeger shows it."""

from __future__ import annotations

from contextlib import suppress

from backends.jaeger import Event, Jaeger, named, tree
from synapse_otel import RuntimeContext


def recorded(job: str) -> None:
    """Record a run with all that a person wants to see in Jaeger; its last step fails."""
    with suppress(OSError), RuntimeContext.open(job, "train") as ctx:
        ctx.log_message("Training on 200 points")
        with ctx.step("fit"):
            ctx.set_progress(1, 2, "epochs")
            ctx.log("checkpoint", {"epoch": 1, "score": {"f1": 0.5}}, file="model.pt")
            ctx.set_metrics({"loss": 0.25}, "training")
            ctx.log_message("half way", "warning")
            ctx.set_progress(2, 2, "epochs")
        with ctx.step("save"):
            raise OSError(28, "No space left on device")


def test_the_tree_of_a_finished_run(jaeger_backend: Jaeger) -> None:
    """The run is found by its job, with its steps and phases as a tree and the status of each, below one service."""
    recorded("finished")
    spans = jaeger_backend.run("finished")
    assert jaeger_backend.services() == ["synapse-plugin"]
    assert tree(spans) == [
        ("", "train", "ERROR"),
        ("fit", "epochs", "OK"),
        ("train", "fit", "OK"),
        ("train", "run started", ""),
        ("train", "save", "ERROR"),
    ]
    assert {span.process["job_id"] for span in spans} == {"finished"}
    assert jaeger_backend.trace(spans[0].trace_id) == spans


def test_the_other_query_api_has_the_same_spans(jaeger_backend: Jaeger) -> None:
    """The API of version 3, which answers in OTLP, knows the service and every span of the run."""
    recorded("by the API of version 3")
    spans = jaeger_backend.run("by the API of version 3")
    assert jaeger_backend.get("api/v3/services") == {"services": ["synapse-plugin"]}
    found = jaeger_backend.get(f"api/v3/traces/{spans[0].trace_id}")["result"]["resourceSpans"]
    otlp = [span for resource in found for scope in resource["scopeSpans"] for span in scope["spans"]]
    assert sorted((span["spanId"], span["name"]) for span in otlp) == sorted((span.id, span.name) for span in spans)


def test_what_a_run_said_is_on_its_spans(jaeger_backend: Jaeger) -> None:
    """Messages, events with their data, final metrics and progress, and the exception are where they happened."""
    recorded("said")
    spans = jaeger_backend.run("said")
    train, fit, epochs, save = (named(spans, name) for name in ("train", "fit", "epochs", "save"))
    (exception,) = save.events
    assert train.events == [
        Event("message", {"message": "Training on 200 points", "synapse.level": "info"}),
        exception,  # what ended the step has ended the run
    ]
    assert fit.events == [
        Event("checkpoint", {"epoch": 1, "score.f1": 0.5, "file.path": "model.pt", "synapse.level": "info"}),
        Event("message", {"message": "half way", "synapse.level": "warning"}),
    ]
    assert exception.name == "exception"
    assert exception.fields["exception.type"] == "OSError"
    assert exception.fields["exception.message"] == "[Errno 28] No space left on device"
    assert "raise OSError(28" in exception.fields["exception.stacktrace"]
    failed = {"error": True, "otel.status_description": "OSError: [Errno 28] No space left on device"}
    assert failed.items() <= save.tags.items()
    assert {
        **failed,
        "synapse.run.status": "failed",
        "synapse.metric.training.loss": 0.25,
    }.items() <= train.tags.items()
    progress = {f"synapse.progress.{name}": value for name, value in (("current", 2), ("total", 2), ("ratio", 1.0))}
    assert {"synapse.category": "epochs", **progress}.items() <= epochs.tags.items()


def test_a_failed_run_is_found_as_an_error(jaeger_backend: Jaeger) -> None:
    """The search for errors finds it, the one for what went well does not find it by its root."""
    recorded("failed")
    (spans,) = jaeger_backend.find(job_id="failed", error="true")
    assert tree(spans)[0] == ("", "train", "ERROR")
    assert jaeger_backend.find(job_id="failed", **{"synapse.run.status": "completed"}) == []
