"""A run that goes on in other processes: one trace, one job, an instance of its own for each."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sdk.arrived import records, roots
from synapse_otel.testing import Collector


def run(code: str, env: dict[str, str], *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program whose main module can be imported again, as `spawn` does it."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(code))
    result = subprocess.run([sys.executable, str(script), *arguments], env=env, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    return result


def workers(collector: Collector) -> dict[str, str]:
    """The instance of every worker of a run, and what became of it."""
    return {
        span.resource["service.instance.id"]: span.attributes["synapse.run.status"]
        for span in collector.spans
        if "synapse.worker" in span.attributes and "synapse.run.status" in span.attributes
    }


CARRYING = """
    import multiprocessing, sys
    from synapse_sdk.loggers import NoOpLogger
    from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext

    def work(ctx, number):
        ctx.set_metrics({"loss": number}, "training")
        ctx.log_message(f"worker {number}")

    if __name__ == "__main__":
        from synapse_otel.sdk import SynapseInstrumentor
        SynapseInstrumentor().instrument()
        ctx = RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-m")
        ctx.log_message("parent")
        context = multiprocessing.get_context(sys.argv[1])
        if sys.argv[2] == "process":
            children = [context.Process(target=work, args=(ctx, number)) for number in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
        else:
            with context.Pool(3) as pool:
                pool.starmap(work, [(ctx, number) for number in range(9)], chunksize=3)
                pool.close()
                pool.join()
        ctx.logger.finish()
"""


@pytest.mark.parametrize("how", ["process", "pool"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_context_goes_on_in_children_of_multiprocessing(
    method: str, how: str, collector: Collector, child_env: dict[str, str], tmp_path: Path
) -> None:
    """Nothing but the parent is instrumented: what carries the context instruments the child."""
    run(CARRYING, child_env, method, how, folder=tmp_path)
    count = 3 if how == "process" else 9
    assert sorted(record[2] for record in records(collector)) == ["parent", *(f"worker {n}" for n in range(count))]
    assert sorted(point.value for point in collector.points_of("synapse.metric.loss")) == list(range(count))
    items = (*collector.spans, *collector.logs)
    assert {item.trace_id for item in items} == {collector.spans[0].trace_id}
    assert {item.resource["job_id"] for item in (*items, *collector.points)} == {"job-m"}
    found = workers(collector)
    assert set(found.values()) == {"completed"}
    assert 1 <= len(found) <= 3
    if how == "process":
        assert len(found) == 3


def test_a_subprocess_goes_on_with_the_variables_it_is_given(
    collector: Collector, child_env: dict[str, str], tmp_path: Path
) -> None:
    """`propagation_env` makes a program part of the run, whatever it is."""
    run(
        """
        import os, subprocess, sys
        from synapse_otel.sdk import SynapseInstrumentor, propagation_env
        SynapseInstrumentor().instrument()
        from synapse_sdk.loggers import NoOpLogger
        from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
        ctx = RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-s")
        if len(sys.argv) == 1:
            ctx.log_message("parent")
            subprocess.run([sys.executable, __file__, "child"], env={**os.environ, **propagation_env(ctx)}, check=True)
        else:
            RuntimeContext(NoOpLogger(), PluginEnvironment({})).log_message("child")
        ctx.logger.finish()
        """,
        child_env,
        folder=tmp_path,
    )
    assert sorted(record[2] for record in records(collector)) == ["child", "parent"]
    assert len({item.trace_id for item in (*collector.spans, *collector.logs)}) == 1
    assert {item.resource["job_id"] for item in collector.logs} == {"job-s"}
    assert list(workers(collector).values()) == ["completed"]


def test_a_trace_goes_in_and_out(collector: Collector, child_env: dict[str, str], tmp_path: Path) -> None:
    """`TRACEPARENT` makes a run part of the trace of whoever starts it, and a span opened inside is its child."""
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    result = run(
        """
        from synapse_otel.sdk import SynapseInstrumentor, propagation_env
        SynapseInstrumentor().instrument()
        from plugins import Params, Train
        from synapse_sdk.loggers import NoOpLogger
        from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext

        class Showing(Train):
            action_name = "showing"
            def execute(self):
                print(propagation_env()["TRACEPARENT"])

        Showing.dispatch({}, RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-t"))
        """,
        {**child_env, "TRACEPARENT": f"00-{trace_id}-{span_id}-01"},
        folder=tmp_path,
    )
    (span,) = [span for span in collector.spans if "synapse.run.status" in span.attributes]
    assert (span.trace_id, span.parent_span_id) == (trace_id, span_id)
    assert result.stdout.strip() == f"00-{trace_id}-{span.span_id}-01"


def test_ranks_and_the_plugin_are_known_of_every_process(
    collector: Collector, child_env: dict[str, str], tmp_path: Path
) -> None:
    """Of distributed training, each process says which one it is, also on its data points."""
    variables = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "GROUP_RANK": "1"}
    variables |= {"SYNAPSE_PLUGIN_RELEASE_CODE": "yolo@1.2.0", "SYNAPSE_TRIAL_ID": "trial-7"}
    run(
        """
        from synapse_otel.sdk import SynapseInstrumentor
        SynapseInstrumentor().instrument()
        from plugins import Train
        from synapse_sdk.loggers import NoOpLogger
        from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
        Train.dispatch({}, RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-r"))
        """,
        {**child_env, **variables},
        folder=tmp_path,
    )
    expected = {
        "synapse.rank": 3,
        "synapse.world_size": 8,
        "synapse.local_rank": 1,
        "synapse.node_rank": 1,
        "synapse.plugin.code": "yolo",
        "synapse.plugin.version": "1.2.0",
        "synapse.trial_id": "trial-7",
    }
    for item in (*collector.spans, *collector.logs, *collector.points):
        assert expected.items() <= item.resource.items()
    assert {point.attributes["synapse.rank"] for point in collector.points} == {3}
    assert len(roots(collector)) == 1
