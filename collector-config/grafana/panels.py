"""The kinds of panels that the dashboards are made of, so that they look and behave alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import cells
from grafana_foundation_sdk.builders import bargauge, logs, stat, table, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    LogsSortOrder,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel)


def number(title: str, description: str, unit: str) -> stat.Panel:
    """Return a panel of numbers, the latest ones of their series."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .no_value("–")
        .color_mode(BigValueColorMode.NONE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(_latest())
    )


def states(title: str, description: str, unit: str) -> stat.Panel:
    """Return a panel of numbers, each under the state that it is called after and in its colour."""
    panel = number(title, description, unit).color_mode(BigValueColorMode.BACKGROUND)
    return _coloured(panel.text_mode(BigValueTextMode.VALUE_AND_NAME), cells.STATES)


def bars(title: str, description: str) -> bargauge.Panel:
    """Return a panel of progress bars."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .unit("percentunit")
        .min(0)
        .max(1)
        .no_value("–")
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(_latest())
    )


def lines(title: str, description: str, unit: str) -> timeseries.Panel:
    """Return a chart of points that are connected, however far apart they are."""
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .line_width(1)
        .show_points(VisibilityMode.ALWAYS)
        .point_size(4)
        .span_nulls(True)
        .legend(_legend())
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )


def stacked(title: str, description: str, colours: Mapping[str, str]) -> timeseries.Panel:
    """Return a chart of counts as bars on each other, in the colours of their names."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit("short")
        .decimals(0)
        .draw_style(GraphDrawStyle.BARS)
        .fill_opacity(80)
        .stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
        .legend(_legend())
    )
    return _coloured(panel, colours)


def rows(title: str, description: str) -> table.Panel:
    """Return a table."""
    return table.Panel().title(title).description(description).unit("none").no_value("–").filterable(True)


def by(field: str) -> list[TableSortByFieldState]:
    """Return the order of a table by one of its fields, the greatest first."""
    return [TableSortByFieldState().display_name(field).desc(True)]


def log_records(title: str, description: str) -> logs.Panel:
    """Return a list of log records, the newest first."""
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(LogsSortOrder.DESCENDING)
    )


def joined() -> DataTransformerConfig:
    """Return the transformation that joins rows of several queries where all their common labels are the same."""
    return DataTransformerConfig("merge", options={})


def only(columns: Mapping[str, str]) -> list[DataTransformerConfig]:
    """Return the transformations that leave these fields, in this order, and name them; labels can be any."""
    options = {
        "indexByName": {field: place for place, field in enumerate(columns)},
        "renameByName": {field: name for field, name in columns.items() if field != name},
        "excludeByName": {},
    }
    return [
        DataTransformerConfig("filterFieldsByName", options={"include": {"names": list(columns)}}),
        DataTransformerConfig("organize", options=options),
    ]


def _coloured(panel: Panel, colours: Mapping[str, str]) -> Panel:
    for name, colour in colours.items():
        panel.override_by_name(name, cells.colour(colour))
    return panel


def _latest() -> ReduceDataOptions:
    return ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _legend() -> VizLegendOptions:
    return VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
