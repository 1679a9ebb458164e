"""The page as one file: the document in its template, with every script and style inside.

Plotly draws the charts because it has zoom, hover and NaN as gaps, and its package brings its JavaScript with two small
dependencies (4.8 MB in the page; Bokeh's is 1.3 MB, but needs NumPy, Pillow and Tornado). The table is our own:
DataTables comes from PyPI only as a module that a page under this policy cannot import.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # Plotly has no types

from synapse_otel.cli.html.document import document
from synapse_otel.cli.view import RunView
from synapse_otel.projection.redaction import Redactor


def page(view: RunView, redactor: Redactor, now: int) -> str:
    """Return a run as an HTML document.

    Args:
        view: The run.
        redactor: Takes credentials out of it.
        now: The current time in nanoseconds.
    """
    environment = _environment()
    shown = document(view, redactor, now)
    drawing = [get_plotlyjs(), _source(environment, "charts.js")] if shown["charts"]["rows"] else []
    scripts = [*drawing, _source(environment, "messages.js")]
    return environment.get_template("page.html").render(
        shown,
        style=Markup(_source(environment, "page.css")),  # noqa: S704  # ours
        scripts=[Markup(script) for script in scripts],  # noqa: S704  # ours, and Plotly's
        policy=content_security_policy(scripts),
    )


def content_security_policy(scripts: Sequence[str]) -> str:
    """Return the policy of a page that runs these inline scripts and no others, and requests nothing."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {hashes}",
            "style-src 'unsafe-inline'",  # bars and charts are placed by style attributes
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synapse_otel.cli.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
