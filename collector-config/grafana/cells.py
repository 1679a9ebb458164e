"""How single fields look: cells of tables and series of charts, by their name."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult

STATES = {
    "running": "blue",
    "completed": "green",
    "failed": "red",
    "cancelled": "orange",
    "crashed": "dark-red",
    "silent": "purple",
}
SEVERITIES = {
    "debug": "text",
    "info": "blue",
    "success": "green",
    "warning": "orange",
    "danger": "red",
    "error": "red",
    "critical": "dark-red",
}

Field = list[DynamicConfigValue]


def state() -> Field:
    """Return the state of a run, in its colour."""
    colours = {state: ValueMappingResult(text=state, color=colour) for state, colour in STATES.items()}
    return [
        DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        DynamicConfigValue("mappings", [ValueMap(colours)]),
        DynamicConfigValue("custom.width", 110),
    ]


def progress() -> Field:
    """Return a progress bar."""
    return [
        DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}),
        DynamicConfigValue("unit", "percentunit"),
        DynamicConfigValue("min", 0),
        DynamicConfigValue("max", 1),
        *colour("blue"),
    ]


def seconds() -> Field:
    """Return a number of seconds."""
    return [DynamicConfigValue("unit", "s"), DynamicConfigValue("decimals", 0), DynamicConfigValue("custom.width", 110)]


def moment() -> Field:
    """Return a point in time."""
    return [DynamicConfigValue("unit", "dateTimeAsIso"), DynamicConfigValue("custom.width", 170)]


def wide(pixels: int) -> Field:
    """Return a column of a given width."""
    return [DynamicConfigValue("custom.width", pixels)]


def linked(links: list[dict[str, object]]) -> Field:
    """Return what leads elsewhere."""
    return [DynamicConfigValue("links", links)]


def colour(name: str) -> Field:
    """Return a series in a colour of its own."""
    return [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": name})]


def marks() -> Field:
    """Return points along the upper edge, on a scale of their own, where no line can be drawn."""
    return [
        *colour("red"),
        DynamicConfigValue("custom.drawStyle", "points"),
        DynamicConfigValue("custom.pointSize", 9),
        DynamicConfigValue("custom.axisPlacement", "hidden"),
        DynamicConfigValue("unit", "none"),
        DynamicConfigValue("min", 0),
        DynamicConfigValue("max", 1),
    ]
