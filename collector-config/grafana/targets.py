"""Queries as panels hold them: with their data source, and for an instant or over the time range."""

from __future__ import annotations

from grafana_foundation_sdk.builders import loki, prometheus, tempo
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType
from variables import LOKI, PROMETHEUS, TEMPO

CATEGORY = "{{synapse_category}} {{synapse_rank}}"
"""What a series is called: its category, with the rank of the worker where there are several."""


def instant(expr: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """Return a PromQL query at the end of the time range, a series for each result."""
    return _promql(expr, ref).instant().legend_format(legend)


def rows(*exprs: str) -> list[prometheus.Dataquery]:
    """Return PromQL queries at the end of the time range, a table row for each result; they are called A, B, ..."""
    named = zip("ABCD", exprs, strict=False)
    return [_promql(expr, ref).instant().format(PromQueryFormat.TABLE) for ref, expr in named]


def over_time(expr: str, legend: str, ref: str = "A", least: str = "1s") -> prometheus.Dataquery:
    """Return a PromQL query over the time range, in steps of at least `least`."""
    return _promql(expr, ref).range().legend_format(legend).interval(least)


def log_records(expr: str, most: int) -> loki.Dataquery:
    """Return a LogQL query of the `most` latest records."""
    return _logql(expr).max_lines(most)


def log_counts(expr: str, legend: str) -> loki.Dataquery:
    """Return a LogQL query of numbers over the time range."""
    return _logql(expr).legend_format(legend)


def traces(query: str) -> tempo.Dataquery:
    """Return a TraceQL query, a row for each trace."""
    search = tempo.Dataquery().datasource(TEMPO).query_type("traceql").query(query).ref_id("A")
    return search.table_type(SearchTableType.TRACES).limit(20)


def _promql(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(PROMETHEUS).expr(expr).ref_id(ref)


def _logql(expr: str) -> loki.Dataquery:
    return loki.Dataquery().datasource(LOKI).expr(expr).query_type("range").ref_id("A")
