"""What the steps of a workflow share, for each kind of action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synapse_otel.steps import BaseStepContext


@dataclass
class _ClientContext(BaseStepContext):
    @property
    def client(self) -> Any:
        """The client of the Synapse backend.

        Raises:
            RuntimeError: The runtime context has none.
        """
        if self.runtime_ctx.client is None:
            raise RuntimeError("no client in the runtime context: pass client= to RuntimeContext")
        return self.runtime_ctx.client


@dataclass
class TrainContext(_ClientContext):
    """The state of a training workflow.

    Attributes:
        params: The action's parameters.
        dataset: The loaded data set.
        data_path: Where the data set is.
        model_path: Where the trained model is.
        model: What the backend knows of the model.
    """

    params: dict[str, Any] = field(default_factory=dict)
    dataset: Any = None
    data_path: Path | None = None
    model_path: str | None = None
    model: dict[str, Any] | None = None


@dataclass
class ExportContext(_ClientContext):
    """The state of an export workflow.

    Attributes:
        params: The action's parameters.
        results: What was fetched for the export.
        total_count: How many items there are to export.
        exported_count: How many were exported.
        failed_count: How many could not be.
        output_path: Where the export is.
        export_items: The items to export, possibly an iterator that is read once.
        converted_items: The items in the export's format, possibly an iterator that is read once.
        path_root: The directory that the export is written to.
        output_paths: Directories within it, by what they hold.
        storage: The storage that the export goes to.
        configuration: The project's configuration.
        project_id: The project exported from.
        config: The action's configuration.
    """

    params: dict[str, Any] = field(default_factory=dict)
    results: Any = None
    total_count: int = 0
    exported_count: int = 0
    failed_count: int = 0
    output_path: str | None = None
    export_items: Iterable[Any] | None = None
    converted_items: Iterable[Any] | None = None
    path_root: Path | None = None
    output_paths: dict[str, Path] = field(default_factory=dict)
    storage: Any = None
    configuration: dict[str, Any] | None = None
    project_id: int | None = None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class UploadContext(_ClientContext):
    """The state of an upload workflow.

    Attributes:
        params: The action's parameters.
        storage: The storage that the upload goes to.
        data_collection: The data collection that it is for.
        project: The project that it is for.
        pathlib_cwd: The directory uploaded from.
        organized_files: The files found, with what is known of each.
        uploaded_files: The files that arrived.
        lost_files: The names of those that did not.
        data_units: The data units created of them.
        excel_metadata: What a metadata sheet says of the files.
    """

    params: dict[str, Any] = field(default_factory=dict)
    storage: Any = None
    data_collection: Any = None
    project: Any = None
    pathlib_cwd: Path | None = None
    organized_files: list[dict[str, Any]] = field(default_factory=list)
    uploaded_files: list[dict[str, Any]] = field(default_factory=list)
    lost_files: list[str] = field(default_factory=list)
    data_units: list[dict[str, Any]] = field(default_factory=list)
    excel_metadata: dict[str, Any] | None = None


@dataclass
class InferenceContext(BaseStepContext):
    """The state of an inference workflow.

    Attributes:
        params: The action's parameters.
        model_id: The model's id.
        model: What the backend knows of the model.
        model_path: Where the model is.
        requests: What is to be inferred from.
        results: What was inferred.
        batch_size: How many requests go together.
        processed_count: How many requests are done.
    """

    params: dict[str, Any] = field(default_factory=dict)
    model_id: int | None = None
    model: dict[str, Any] | None = None
    model_path: str | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    batch_size: int = 1
    processed_count: int = 0


@dataclass
class DeploymentContext(BaseStepContext):
    """The state of a deployment workflow.

    Attributes:
        params: The action's parameters.
        model_id: The model's id.
        model: What the backend knows of the model.
        model_path: Where the model is.
        serve_app_name: The name of the serving application.
        serve_app_id: Its id, once it was created.
        route_prefix: The prefix of its URLs.
        ray_actor_options: Options of the Ray actor that serves.
        serve_options: Options of the serving application.
        deployed: Whether it is deployed.
    """

    params: dict[str, Any] = field(default_factory=dict)
    model_id: int | None = None
    model: dict[str, Any] | None = None
    model_path: str | None = None
    serve_app_name: str | None = None
    serve_app_id: int | None = None
    route_prefix: str | None = None
    ray_actor_options: dict[str, Any] = field(default_factory=dict)
    serve_options: dict[str, Any] = field(default_factory=dict)
    deployed: bool = False


@dataclass
class AddTaskDataContext(BaseStepContext):
    """The state of a workflow that adds data, such as pre-annotations, to tasks.

    Attributes:
        params: The action's parameters.
        data_collection: The data collection of the project.
        task_ids: The tasks to add data to.
        inference: How inference is done, where the data comes from a model.
        batch_size: How many tasks go together; None for one by one.
        failures: What went wrong, by task.
        success_count: How many tasks got their data.
        failed_count: How many did not.
    """

    params: dict[str, Any] = field(default_factory=dict)
    data_collection: dict[str, Any] | None = None
    task_ids: list[int] = field(default_factory=list)
    inference: dict[str, Any] | None = None
    batch_size: int | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    success_count: int = 0
    failed_count: int = 0

    @property
    def total_tasks(self) -> int:
        """How many tasks there are."""
        return len(self.task_ids)
