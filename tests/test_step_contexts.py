from dataclasses import fields

import pytest

from synapse_otel.context import RuntimeContext
from synapse_otel.environment import PluginEnvironment
from synapse_otel.logger import NoOpLogger
from synapse_otel.step_contexts import (
    AddTaskDataContext,
    DeploymentContext,
    ExportContext,
    InferenceContext,
    TrainContext,
    UploadContext,
)
from synapse_otel.steps import BaseStepContext

ALL = [TrainContext, ExportContext, UploadContext, InferenceContext, DeploymentContext, AddTaskDataContext]


@pytest.fixture
def runtime_ctx():
    return RuntimeContext(NoOpLogger(), PluginEnvironment())


@pytest.mark.parametrize(
    ("context", "names"),
    [
        (TrainContext, {"params", "dataset", "model_path", "model"}),
        (ExportContext, {"params", "results", "exported_count", "failed_count", "total_count", "output_path"}),
        (UploadContext, {"params", "organized_files", "uploaded_files", "data_units"}),
        (InferenceContext, {"params", "requests", "model", "results", "processed_count"}),
        (DeploymentContext, {"params", "serve_app_name", "serve_app_id", "deployed"}),
        (AddTaskDataContext, {"params", "task_ids", "success_count", "failed_count", "failures"}),
    ],
)
def test_it_has_the_attributes_of_the_documents(context, names):
    assert names <= {field.name for field in fields(context)}


@pytest.mark.parametrize("context", ALL)
def test_it_is_a_step_context_that_needs_only_the_runtime_context(context, runtime_ctx):
    made = context(runtime_ctx)
    assert (isinstance(made, BaseStepContext), made.runtime_ctx, made.step_results, made.params) == (
        True,
        runtime_ctx,
        [],
        {},
    )


@pytest.mark.parametrize("context", ALL)
def test_no_two_share_their_state(context, runtime_ctx):
    first, second = context(runtime_ctx), context(runtime_ctx)
    shared = {field.name for field in fields(context) if getattr(first, field.name) is getattr(second, field.name)}
    assert not {name for name in shared if isinstance(getattr(first, name), list | dict)}


@pytest.mark.parametrize("context", [TrainContext, ExportContext, UploadContext])
def test_its_client_is_the_runtime_contexts(context, runtime_ctx):
    runtime_ctx.client = object()
    assert context(runtime_ctx).client is runtime_ctx.client


@pytest.mark.parametrize("context", [TrainContext, ExportContext, UploadContext])
def test_a_missing_client_is_said(context, runtime_ctx):
    with pytest.raises(RuntimeError) as error:
        _ = context(runtime_ctx).client
    assert str(error.value) == "no client in the runtime context: pass client= to RuntimeContext"


def test_tasks_are_counted(runtime_ctx):
    assert AddTaskDataContext(runtime_ctx, task_ids=[1, 2]).total_tasks == 2
