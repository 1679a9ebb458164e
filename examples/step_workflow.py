"""A workflow of steps: made-up files are collected, uploaded and registered; what was done is undone when a step fails.

    synapse-otel run examples/step_workflow.py --params '{"files": 8}'
    synapse-otel run examples/step_workflow.py --params '{"fail": true}'

Each step is a span of the run, and its name is the default category of what is reported in it. `read_metadata` has
nothing to do and is skipped. With `fail`, the third step meets a full storage: the orchestrator rolls back what was
executed, in reverse, and the run fails with nothing left on the disk.
"""

import errno
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, DirectoryPath, Field

from synapse_otel import BaseAction, BaseStep, StepRegistry, StepResult, UploadContext


class UploadParams(BaseModel):
    files: int = Field(default=8, ge=1, le=1000)
    fail: bool = Field(default=False, description="Whether the storage is full after half of the files.")
    output_dir: DirectoryPath | None = Field(
        default=None, description="The storage: a new temporary directory by default."
    )


class CollectStep(BaseStep[UploadContext]):
    def execute(self, context: UploadContext) -> StepResult:
        source = context.pathlib_cwd = Path(tempfile.mkdtemp(prefix="upload-source-"))
        for number in range(1, context.params["files"] + 1):
            path = source / f"image_{number:03}.txt"
            path.write_text(f"made-up image {number}\n")
            context.organized_files.append({"path": path, "bytes": path.stat().st_size})
            context.set_progress(number, context.params["files"])
        context.log("files_collected", {"files": len(context.organized_files)}, file=str(source))
        return StepResult(rollback_data={"source": source})

    def rollback(self, context: UploadContext, result: StepResult) -> None:
        shutil.rmtree(result.rollback_data["source"])
        context.log_message(f"Rolled back: removed {len(context.organized_files)} collected files", "warning")


class ReadMetadataStep(BaseStep[UploadContext]):
    def can_skip(self, context: UploadContext) -> bool:
        return context.excel_metadata is None

    def execute(self, context: UploadContext) -> StepResult:
        return StepResult(data=dict(context.excel_metadata or {}))


class UploadStep(BaseStep[UploadContext]):
    progress_weight = 3.0

    def execute(self, context: UploadContext) -> StepResult:
        copies: list[Path] = []
        for number, file in enumerate(context.organized_files, start=1):
            full = context.params["fail"] and number > context.params["files"] // 2
            try:
                copies.append(store(file["path"], context.storage, full=full))
            except OSError as error:
                # Returned, not raised, so that the rollback is told what was copied before.
                return StepResult(success=False, error=str(error), rollback_data={"copies": copies})
            context.uploaded_files.append({"path": copies[-1], "bytes": file["bytes"]})
            context.set_progress(number, context.params["files"])
            context.set_metrics({"bytes": sum(file["bytes"] for file in context.uploaded_files)})
        return StepResult(rollback_data={"copies": copies})

    def rollback(self, context: UploadContext, result: StepResult) -> None:
        for copy in result.rollback_data["copies"]:
            copy.unlink()
        context.log_message(f"Rolled back: removed {len(context.uploaded_files)} uploaded files", "warning")


class RegisterStep(BaseStep[UploadContext]):
    def execute(self, context: UploadContext) -> StepResult:
        manifest = context.storage / "manifest.txt"
        manifest.write_text("".join(f"{file['path'].name}\n" for file in context.uploaded_files))
        context.log("manifest_written", {"files": len(context.uploaded_files)}, file=str(manifest))
        context.log_message(f"Uploaded {len(context.uploaded_files)} files", "success")
        return StepResult(data={"manifest": manifest})


class UploadAction(BaseAction[UploadParams]):
    action_name = "upload"
    category = "upload"

    def setup_steps(self, registry: StepRegistry[Any]) -> None:
        for step in (CollectStep(), ReadMetadataStep(), UploadStep(), RegisterStep()):
            registry.register(step)

    def create_context(self) -> UploadContext:
        storage = self.params.output_dir or Path(tempfile.mkdtemp(prefix="upload-"))
        return UploadContext(self.ctx, params=self.params.model_dump(), storage=storage)


def store(path: Path, storage: Path, *, full: bool) -> Path:
    """Copy a file into the storage, or fail as a full one does."""
    if full:
        raise OSError(errno.ENOSPC, "no space left in the storage", path.name)
    return Path(shutil.copy(path, storage))
