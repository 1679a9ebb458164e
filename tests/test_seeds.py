"""The code of the documents that specify RuntimeContext, run against this package under the names of the documents."""

import ast
import inspect
import re
import sys
import types
from dataclasses import MISSING, fields
from pathlib import Path
from types import SimpleNamespace

import pytest

import synapse_otel
from synapse_otel import (
    BaseLogger,
    OTelLogger,
    PluginEnvironment,
    RuntimeContext,
    TelemetrySettings,
    TrainContext,
    run_action,
)

BLOCKS = dict(
    re.findall(
        r"^## (\S+)\n\n```python\n(.*?)```",
        (Path(__file__).parent / "seeds" / "blocks.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)

MODULES = [
    "synapse_sdk",
    "synapse_sdk.plugins",
    "synapse_sdk.plugins.action",
    "synapse_sdk.plugins.actions",
    "synapse_sdk.plugins.actions.add_task_data",
    "synapse_sdk.plugins.actions.export",
    "synapse_sdk.plugins.actions.inference",
    "synapse_sdk.plugins.actions.train",
    "synapse_sdk.plugins.actions.upload",
    "synapse_sdk.plugins.context",
    "synapse_sdk.plugins.models",
    "synapse_sdk.plugins.models.logger",
    "synapse_sdk.plugins.steps",
]

ENVIRONMENT = {"API_KEY": "k", "BATCH_SIZE": "64", "DEBUG": "true", "GPU_IDS": "0,1", "storage_path": "/data"}


class Recorder(BaseLogger):
    """Keeps what was reported, in short."""

    def __init__(self):
        super().__init__("job-1")
        self.calls = []

    def _log_impl(self, event, data, file, step, level):
        if event == "message":
            self.calls.append((str(level), data["content"]))
        elif event == "dev_event":
            self.calls.append(("dev", data["message"], data["data"]))
        else:
            self.calls.append((event, *([data] if data else []), *([file] if file else [])))

    def _on_progress(self, progress, category):
        self.calls.append((progress.current, progress.total, category))

    def _on_metrics(self, category, metrics):
        self.calls.append((category, dict(metrics)))


@pytest.fixture(autouse=True)
def the_names_of_the_documents(monkeypatch):
    """Every module that the documents import from has the public names of this package."""
    for name in MODULES:
        module = types.ModuleType(name)
        module.__dict__.update({public: getattr(synapse_otel, public) for public in synapse_otel.__all__})
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(params=["recorder", "otel"])
def ctx(request, tmp_path, monkeypatch):
    """A context whose calls are kept, and one that really records, where that nothing raises is what is tested."""
    if request.param == "recorder":
        yield RuntimeContext(Recorder(), PluginEnvironment(ENVIRONMENT), "job-1")
        return
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)
    logger = OTelLogger("job-1", settings=TelemetrySettings(journal_dir=tmp_path))
    yield RuntimeContext(logger, PluginEnvironment(ENVIRONMENT), "job-1")
    logger.finish()


def executed(block, ctx, **names):
    """Executes a block, and the method `execute` if that is what it defines; returns its namespace."""
    namespace = {"__name__": "plugin", "ctx": ctx, **names}
    exec(compile(BLOCKS[block], block, "exec", dont_inherit=True), namespace)
    if isinstance(ast.parse(BLOCKS[block]).body[0], ast.FunctionDef) and "execute" in namespace:
        namespace["result"] = namespace["execute"](SimpleNamespace(ctx=ctx))
    return namespace


def assert_reported(ctx, calls):
    if isinstance(ctx.logger, Recorder):
        assert ctx.logger.calls == calls


@pytest.mark.parametrize("block", ["1.1", "1.3", "1.5", "1.7", "1.9"])
def test_a_documented_signature_is_ours(block):
    function = ast.parse(BLOCKS[block]).body[0]
    required = len(function.args.args) - len(function.args.defaults)
    documented = [
        (argument.arg, MISSING if place < required else ast.literal_eval(function.args.defaults[place - required]))
        for place, argument in enumerate(function.args.args)
    ]
    ours = list(inspect.signature(getattr(RuntimeContext, function.name)).parameters.values())
    accepted = [
        (parameter.name, MISSING if default is MISSING else parameter.default)
        for parameter, (_, default) in zip(ours, documented, strict=False)
    ]
    assert accepted == documented


def test_the_documented_fields_are_ours():
    documented = [
        (statement.target.id, MISSING if statement.value is None else ast.literal_eval(statement.value))
        for statement in ast.parse(BLOCKS["1.0"]).body[-1].body
    ]
    assert [(field.name, field.default) for field in fields(RuntimeContext)] == documented


@pytest.mark.parametrize(
    ("block", "calls"),
    [
        ("1.2", [(50, 100, None), (10, 100, "download"), (5, 50, "train"), (3, 10, "export")]),
        (
            "1.4",
            [
                ("training", {"loss": 0.1, "accuracy": 0.95, "learning_rate": 0.001}),
                ("inference", {"inference_time": 0.05, "throughput": 200}),
            ],
        ),
        (
            "1.6",
            [
                ("checkpoint_saved", {"epoch": 5, "path": "/model.pt"}),
                ("data_loaded", {"count": 1000}, "/data/train.csv"),
            ],
        ),
        (
            "1.8",
            [
                ("info", "Training started"),
                ("warning", "Low GPU memory detected"),
                ("success", "Training completed successfully"),
                ("danger", "Failed to load checkpoint"),
            ],
        ),
        (
            "1.10",
            [("dev", "Model architecture initialized", {"layers": 12}), ("dev", "Batch processing started", None)],
        ),
        (
            "1.19",
            [
                ("info", "Starting data preprocessing"),
                ("warning", "GPU memory usage high (90%)"),
                ("success", "Model training completed"),
                ("danger", "Failed to save checkpoint"),
            ],
        ),
        ("1.20", [("config_loaded", {"api_key": "k"}), ("config_loaded", {"api_key_set": True})]),
        ("2.1", [(50, 100, None), (5, 10, "download"), (3, 100, "training")]),
        ("2.2", [("training", {"loss": 0.05, "accuracy": 0.95})]),
        ("2.3", [("success", "Success!"), ("warning", "Warning"), ("danger", "Error"), ("info", "Info")]),
        (
            "3.1",
            [
                ("checkpoint", {"epoch": 5, "loss": 0.25}),
                ("prediction", {"class": "cat", "confidence": 0.95}, "/data/img.jpg"),
            ],
        ),
        (
            "3.3",
            [
                ("default", {"accuracy": 0.95, "loss": 0.05, "learning_rate": 0.001}),
                ("validation", {"mAP": 0.87}),
            ],
        ),
        (
            "3.4",
            [
                ("info", "Starting model training..."),
                ("warning", "GPU memory low, reducing batch size"),
                ("success", "Training completed successfully!"),
                ("danger", "Failed to load checkpoint"),
            ],
        ),
        (
            "3.5",
            [
                ("dev", "Variable state checkpoint", {"variable_x": 42}),
                ("dev", "Processing time recorded", {"duration_ms": 1500}),
                ("dev", "Cache hit rate", {"hits": 95, "misses": 5}),
            ],
        ),
    ],
)
def test_a_block_of_reports(ctx, block, calls):
    executed(block, ctx, api_key="k")
    assert_reported(ctx, calls)


def test_environment_getters(ctx):
    names = executed("1.11", ctx)
    got = [names[name] for name in ("value", "api_key", "batch_size", "learning_rate", "debug_mode", "gpu_ids")]
    assert got == ["default", "k", 64, 0.001, True, ["0", "1"]]


def test_clients(ctx):
    ctx.client = SimpleNamespace(get_data_collection=lambda data: ("collection", data), get_model=lambda id_: id_)
    names = executed("1.12", ctx, dataset=1, model_id=2)
    assert (names["dataset"], names["model_info"]) == (("collection", ("collection", 1)), 2)


@pytest.mark.parametrize(
    ("checkpoint", "printed"),
    [
        (None, ""),
        ({"category": "base", "path": "/m.pt"}, "Using base model from /m.pt\n"),
        ({"category": "mine", "path": "/m.pt"}, "Using fine-tuned model: mine\n"),
    ],
)
def test_checkpoints(ctx, capsys, checkpoint, printed):
    ctx.checkpoint = checkpoint
    executed("1.13", ctx)
    assert capsys.readouterr().out == printed


def test_a_step_context_of_ones_own(ctx):
    context = executed("1.14", ctx)["MyStepContext"](runtime_ctx=ctx)
    assert (context.params, context.results, context.errors) == ({}, [], [])


def test_a_step(ctx):
    names = executed("1.15", ctx)
    registry, context = synapse_otel.StepRegistry(), TrainContext(ctx)
    registry.register(names["LoadDataStep"]())
    synapse_otel.Orchestrator(registry, context).execute()
    assert_reported(
        ctx,
        [
            (0, 100, "load"),
            ("info", "Loading dataset..."),
            (50, 100, "load_data"),
            ("data_loaded", {"count": 1000}),
        ],
    )


def test_a_function_action(ctx):
    result = run_action(executed("1.16", ctx)["train"], {"epochs": 2}, ctx)
    assert result == {"status": "completed", "epochs": 2}
    assert_reported(
        ctx,
        [
            ("info", "Training started"),
            (1, 2, "train"),
            ("training", {"epoch": 0, "loss": 0.1}),
            (2, 2, "train"),
            ("training", {"epoch": 1, "loss": 0.1}),
            ("success", "Training completed"),
        ],
    )


def test_a_class_action(ctx):
    assert run_action(executed("1.17", ctx)["TrainAction"], {"epochs": 1}, ctx) == {"status": "completed"}
    assert_reported(ctx, [("info", "Training started"), (1, 1, "train"), ("training", {"epoch": 0, "loss": 0.1})])


def test_progress_per_epoch_and_per_batch(ctx):
    executed(
        "1.18",
        ctx,
        train_one_epoch=lambda: None,
        dataloader=range(3),
        process_batch=lambda batch: None,
        batch_idx=2,
        total_batches=3,
    )
    assert_reported(ctx, [*((epoch + 1, 100, "train") for epoch in range(100)), *[(2, 3, None)] * 3])


def test_a_client_that_may_be_missing(ctx):
    assert executed("1.21", ctx, load_local_data=lambda: "local")["data"] == "local"
    ctx.client = SimpleNamespace(fetch_data=lambda: "fetched")
    assert executed("1.21", ctx, load_local_data=lambda: "local")["data"] == "fetched"
    assert_reported(ctx, [("warning", "Backend client not available")])


def test_the_quick_reference(ctx):
    train = executed("2.0", ctx, TrainParams=dict)["train"]
    assert train({}, ctx) == {"status": "completed"}
    assert_reported(
        ctx,
        [
            (0, 100, None),
            ("training", {"loss": 0.05}),
            ("info", "Training started"),
            ("checkpoint", {"epoch": 5}, "/path/to/file"),
            ("dev", "Debug info", {"data": "value"}),
            ("run_ended",),
        ],
    )


def test_raw_environment_values(ctx):
    names = executed("2.4", ctx)
    assert (names["api_key"], names["debug_mode"]) == ("k", True)


def test_checkpoint_values(ctx):
    ctx.checkpoint = {"category": "base", "path": "/m.pt"}
    names = executed("2.5", ctx)
    assert (names["model_path"], names["category"]) == ("/m.pt", "base")


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (
            "2.6",
            [
                "TrainContext",
                "ExportContext",
                "UploadContext",
                "InferenceContext",
                "DeploymentContext",
                "AddTaskDataContext",
            ],
        ),
        ("3.0", ["RuntimeContext"]),
        ("3.9", ["LogLevel"]),
        ("3.10", ["RunStatus"]),
        ("3.11", ["ActionStatus"]),
    ],
)
def test_names_that_are_imported(ctx, block, names):
    namespace = executed(block, ctx)
    assert [namespace[name] for name in names] == [getattr(synapse_otel, name) for name in names]


def test_progress_with_step_names(ctx):
    executed("3.2", ctx, items=["a", "b"], process=lambda item: None)
    assert_reported(ctx, [(1, 100, None), (2, 100, None), (50, 100, "preprocessing"), (100, 100, "training")])


def test_the_end_is_signalled(ctx):
    assert executed("3.6", ctx, process_data=lambda: 7)["result"] == 7
    assert_reported(ctx, [("run_ended",)])


@pytest.mark.parametrize(
    ("debug", "calls"), [("true", [("dev", "Debug mode enabled", None)]), ("false", []), (None, [])]
)
def test_environment_attributes(ctx, debug, calls):
    ctx.env = PluginEnvironment({"DEBUG": debug} if debug else {})
    executed("3.7", ctx)
    assert_reported(ctx, calls)


def test_the_complete_example(ctx):
    ctx.checkpoint = {"category": "base", "path": "/m.pt"}
    names = executed("3.8", ctx, train_epoch=lambda batch_size, rate: batch_size * rate, get_memory_usage=lambda: 9)
    assert run_action(names["TrainAction"], {"epochs": 1}, ctx) == {"final_loss": 0.008, "epochs_trained": 1}
    assert_reported(
        ctx,
        [
            ("info", "Starting training..."),
            ("checkpoint_loaded", {"category": "base", "path": "/m.pt"}),
            (1, 1, "training"),
            ("default", {"epoch": 1, "loss": 0.008, "learning_rate": 0.001}),
            ("dev", "Epoch completed", {"epoch": 1, "memory_usage": 9}),
            ("success", "Training completed!"),
            ("run_ended",),
        ],
    )


def test_every_block_is_tested():
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [block for block in BLOCKS if f'"{block}"' not in tests] == []
