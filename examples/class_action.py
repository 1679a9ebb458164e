"""A class as an action: an export of made-up annotations, one JSON object per line.

    synapse-otel run examples/class_action.py --params '{"items": 500}'

`BaseAction` has the checked parameters as `self.params` and the calls of the context as its own methods. Some items
have no label: each of them is skipped with a warning, and the export goes on.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, DirectoryPath, Field

from synapse_otel import BaseAction


class ExportParams(BaseModel):
    items: int = Field(default=200, ge=1, le=100_000)
    unlabelled_every: int = Field(default=60, ge=1, description="Every how many items one has no label.")
    seed: int = 0
    output_dir: DirectoryPath | None = Field(default=None, description="A new temporary directory by default.")


class ExportAction(BaseAction[ExportParams]):
    action_name = "export"
    category = "export"

    def execute(self) -> dict[str, Any]:
        directory = self.params.output_dir or Path(tempfile.mkdtemp(prefix="export-"))
        path = directory / "annotations.jsonl"
        self.log_message(f"Exporting {self.params.items} items")
        exported = self.write(path)
        self.log("export_written", {"lines": exported, "bytes": path.stat().st_size}, file=str(path))
        self.log_message(f"Exported {exported} of {self.params.items} items", "success")
        return {"exported": exported, "skipped": self.params.items - exported, "path": str(path)}

    def write(self, path: Path) -> int:
        exported = 0
        with path.open("w", encoding="utf-8") as lines:
            for number, item in enumerate(self.fetch(), start=1):
                if item["label"] is None:
                    self.log_message(f"Item {item['id']} has no label: skipped", "warning")
                else:
                    lines.write(json.dumps(item) + "\n")
                    exported += 1
                self.set_progress(number, self.params.items, "export")
                self.set_metrics({"exported": exported, "skipped": number - exported}, "export")
        return exported

    def fetch(self) -> Iterator[dict[str, Any]]:
        """Yield made-up items, in place of those that `self.ctx.client` would give."""
        random = Random(self.params.seed)
        for number in range(1, self.params.items + 1):
            label = None if number % self.params.unlabelled_every == 0 else random.choice(["car", "bus", "bicycle"])
            yield {"id": number, "label": label, "box": [random.randrange(640) for _ in range(4)]}
