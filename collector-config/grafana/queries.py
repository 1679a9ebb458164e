"""What the dashboards ask: PromQL, LogQL and TraceQL.

A process that dies leaves no staleness marker, and Prometheus shows a series for five minutes after its last sample. So
instant queries look back over the whole time range, and whether a run lives is told by its heartbeats.

The tests ask a real Prometheus each PromQL query. LogQL and TraceQL are parsed there, and what they name is compared
with what is sent, but no Loki and no Tempo answers them.
"""

from __future__ import annotations

PROCESS = "job, job_id, instance"
"""The labels that name one process of a run; a run that is tried again is another process."""

OF_SERVICES = 'job=~"([^/]*/)?($service)"'
"""Services in any namespace or in none, which the label `job` has before the name."""

ALL_RUNS = f'{OF_SERVICES}, job_id=~"$job_id"'
ONE_RUN = 'job_id="$job_id"'
NO_WORKERS = 'synapse_worker=""'
OF_CATEGORIES = 'synapse_category=~"$category"'
OF_METRICS = f'{ONE_RUN}, {OF_CATEGORIES}, __name__=~"synapse_metric_.+", synapse_metric_key=~"$metric"'

DURATION = "synapse_run_duration_seconds"

LOGS = '{service_name=~"$service"}'
"""The one label of Loki's index that is relied on. By default it also has, of what runs send, the namespace and the
instance of the service and its environment. Everything else is structured metadata; after the pipe stands either."""

LAST_MESSAGES = f'{LOGS} | job_id=~"$job_id" | synapse_level!=""'
"""Messages and events: what a plugin says to its user. Its developer's events have no level."""

LOGS_OF_RUN = f'{LOGS} | job_id="$job_id" | severity_text=~"$severity"'
LOGS_BY_SEVERITY = f"sum by (severity_text) (count_over_time({LOGS_OF_RUN} [$__interval]))"
TRACES_OF_RUN = '{ resource.job_id = "$job_id" }'


# Grafana joins the rows of a table's queries where all their common labels agree, the name of the metric among them. So
# queries aggregate, by the labels that are theirs: without the name, and without what a Prometheus promotes to labels.
OF_PROCESS = "synapse_run_status, synapse_run_name, synapse_worker, synapse_rank"
OF_CATEGORY = f"{PROCESS}, synapse_category, synapse_rank"
OF_METRIC = f"{OF_CATEGORY}, synapse_metric_key"


def latest(metric: str, selector: str, window: str = "$__range") -> str:
    """Return the last sample of each series within the window."""
    return f"last_over_time({metric}{{{selector}}}[{window}])"


def state(scope: str) -> str:
    """Return how long each process has run, with its state in the label ``synapse_run_status``.

    A reported end holds; without one it runs as long as there are heartbeats, and is silent after that. Of a run that
    got another name while it went, the later one is shown, which has the longer duration.
    """
    ended = latest(DURATION, f'{scope}, synapse_run_status!="running"')
    running = f'{scope}, synapse_run_status="running"'
    alive = latest(DURATION, running, "$silent_after")
    silent = f'label_replace({latest(DURATION, running)}, "synapse_run_status", "silent", "", "")'
    states = f"{ended} or on ({PROCESS}) {alive} or on ({PROCESS}) {silent}"
    return f"topk by ({PROCESS}) (1, max by ({PROCESS}, {OF_PROCESS}) ({states}))"


def with_service(results: str) -> str:
    """Return results with the label ``service``: the name of the service without its namespace."""
    return f'label_replace({results}, "service", "$1", "job", "(?:[^/]*/)?(.+)")'


def started(scope: str) -> str:
    """Return when each process began, in milliseconds: a duration is the time from then to its sample."""
    begin = f"(timestamp({DURATION}{{{scope}}}) - {DURATION}{{{scope}}})"
    # Prometheus shows a sample for five minutes: none falls between two steps.
    return f"min by ({PROCESS}) ({begin} or min_over_time({begin}[$__range:5m])) * 1000"


def runs_by_state(scope: str) -> str:
    """Return the number of runs in each state."""
    return f"count by (synapse_run_status) ({state(f'{scope}, {NO_WORKERS}')})"


def failures(scope: str) -> str:
    """Return how many runs ended badly in each interval; the end of a run is a single sample."""
    bad = f'{scope}, {NO_WORKERS}, synapse_run_status=~"failed|crashed"'
    return f"count by (synapse_run_status) ({latest(DURATION, bad, '$__interval')})"


def progress_of_runs(scope: str) -> str:
    """Return for each run the progress of the category that is furthest from its end."""
    runs = f"group by ({PROCESS}) ({latest(DURATION, f'{scope}, {NO_WORKERS}')})"
    return _of_runs(runs, "min", latest("synapse_progress_ratio", f"{scope}, {OF_CATEGORIES}"))


def eta_of_runs(scope: str) -> str:
    """Return for each run that goes on the time that its slowest category still needs."""
    own = f"{scope}, {NO_WORKERS}"
    alive = latest(DURATION, f'{own}, synapse_run_status="running"', "$silent_after")
    ended = latest(DURATION, f'{own}, synapse_run_status!="running"')
    runs = f"group by ({PROCESS}) ({alive} unless on ({PROCESS}) {ended})"
    left = latest("synapse_progress_eta_seconds", f"{scope}, {OF_CATEGORIES}", "$silent_after")
    return _of_runs(runs, "max", f"{left} > 0")


def _of_runs(runs: str, reduce: str, values: str) -> str:
    """Return one value for each of `runs`: of its own process, else of its workers, where only they report."""
    return (
        f"({reduce} by ({PROCESS}) ({values}) and {runs})"
        f" or {runs} * on (job, job_id) group_left () {reduce} by (job, job_id) ({values})"
    )


def of_phases(metric: str, window: str = "$__range") -> str:
    """Return a metric of progress for each category of each process of the run."""
    return f"max by ({OF_CATEGORY}) ({latest(metric, f'{ONE_RUN}, {OF_CATEGORIES}', window)})"


def since_heartbeat(scope: str) -> str:
    """Return the seconds since each process was heard of, also where Prometheus no longer shows its series."""
    heard = f"timestamp(synapse_run_active{{{scope}}})"
    return f"time() - max by ({PROCESS}) ({heard} or max_over_time({heard}[$__range:1m]))"


def where(scope: str) -> str:
    """Return the host and the process id of each process, which Prometheus keeps with the rest of its resource."""
    info = f"group by ({PROCESS}, host_name, process_pid) ({latest('target_info', scope)})"
    # Other instrumentations of the same job have a resource, too.
    return f"{info} and on ({PROCESS}) {latest('synapse_run_active', scope)}"


def metrics(function: str, window: str = "$__range", reduce: str = "max") -> str:
    """Return a function of the samples of each metric within the window."""
    return f"{reduce} by ({OF_METRIC}) ({function}({{{OF_METRICS}}}[{window}]))"


def not_finite() -> str:
    """Return 1 for each interval with a sample that is NaN or infinite, which no line can show."""
    average = metrics("avg_over_time", "$__interval")
    return f"group by (synapse_category, synapse_rank) ({average} * 0 != 0)"


def records() -> str:
    """Return what became of the run's records, by the metric that says it; processes that are gone count, too."""
    return f'sum by (__name__) (last_over_time({{__name__=~"synapse_otel_records_.+", {ONE_RUN}}}[$__range]))'


def of_telemetry(metric: str) -> str:
    """Return what each process says of its own telemetry."""
    return f"max by ({PROCESS}) ({latest(metric, ONE_RUN, '$__interval')})"
