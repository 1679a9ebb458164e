"""The variables of the dashboards: where the data are, and which of them to show."""

from __future__ import annotations

import queries
from grafana_foundation_sdk.builders.dashboard import CustomVariable, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${prometheus}")
LOKI = DataSourceRef(type_val="loki", uid="${loki}")
TEMPO = DataSourceRef(type_val="tempo", uid="${tempo}")

ALL = VariableOption(selected=True, text=["All"], value=["$__all"])
SEVERITIES = "debug,info,success,warning,danger,error,critical"


def data_sources() -> list[DatasourceVariable]:
    """Return the choice of data sources; those of ../provisioning come first."""
    labels = {"prometheus": "Metrics", "loki": "Logs", "tempo": "Traces"}
    return [
        DatasourceVariable(kind)
        .label(label)
        .description(f"The data source of type {kind} that the runs are sent to.")
        .type(kind)
        .current(VariableOption(selected=True, text=kind.title(), value=kind))
        for kind, label in labels.items()
    ]


def service() -> QueryVariable:
    """Return the choice of services; the label `job` is the namespace, where there is one, and the name of one."""
    return (
        _label_values("service", "label_values(synapse_run_active, job)")
        .label("Service")
        .description("service.name of the plugins.")
        .regex(r"/^(?:[^\/]*\/)?(.+)$/")
        .multi(True)
        # All are these, not everything: a Loki has the logs of others as well.
        .include_all(True)
        .current(ALL)
    )


def jobs() -> QueryVariable:
    """Return the choice of any number of jobs."""
    return _job().multi(True).include_all(True).all_value(".+").current(ALL)


def job() -> QueryVariable:
    """Return the choice of one job."""
    return _job()


def category(scope: str) -> QueryVariable:
    """Return the choice of the categories of progress and metrics."""
    selector = f'{{__name__=~"synapse_(progress_ratio|metric_.+)", {scope}}}'
    return (
        _label_values("category", f"label_values({selector}, synapse_category)")
        .label("Category")
        .description("The categories of progress and metrics, such as train or validation.")
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
    )


def metric() -> QueryVariable:
    """Return the choice of metrics, by the key that the plugin gave."""
    selector = f'{{__name__=~"synapse_metric_.+", {queries.ONE_RUN}, {queries.OF_CATEGORIES}}}'
    return (
        _label_values("metric", f"label_values({selector}, synapse_metric_key)")
        .label("Metric")
        .description("The metrics to show, each in a panel of its own.")
        .multi(True)
        .include_all(True)
        .current(ALL)
    )


def severity() -> CustomVariable:
    """Return the choice of severities, named as plugins name them."""
    return (
        CustomVariable("severity")
        .label("Severity")
        .description("The severities of the messages to show.")
        .values(SEVERITIES)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
    )


def silent_after() -> CustomVariable:
    """Return after what time without a heartbeat a run counts as silent."""
    return (
        CustomVariable("silent_after")
        .label("Silent after")
        .description("Three times OTEL_METRIC_EXPORT_INTERVAL, which is a minute unless the plugin sets it.")
        .values("30s,1m,3m,5m,15m,1h")
        .current(VariableOption(selected=True, text="3m", value="3m"))
    )


def _job() -> QueryVariable:
    return (
        _label_values("job_id", f"label_values(synapse_run_active{{{queries.OF_SERVICES}}}, job_id)")
        .label("Job")
        .description("job_id of the runs in the time range.")
    )


def _label_values(name: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .datasource(PROMETHEUS)
        .query(query)
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
