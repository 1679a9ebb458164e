"""`synapse-otel report` in a real browser."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from cli.kit import SECOND, START, identity, write_journal
from synapse_otel.cli import main
from synapse_otel.journal import records as rec

ARGUMENTS = [
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "{{ 7 * 7 }} {% raw %}",
    "javascript:window.hacked=3",
    '<b onclick="window.hacked=4">bold</b> <a href="https://example.com">link</a> &lt;i&gt; %{x} $x^2$',
    "--><svg/onload=window.hacked=5>",
)
EVERYTHING = " ".join(HOSTILE)


@dataclass
class Opened:
    """A page in the browser, and what happened while it was open."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self) -> Locator:
        """The plot of the first chart, when its curve is drawn."""
        plot = self.page.locator(".plot").first
        plot.scroll_into_view_if_needed()
        plot.locator(".js-line").first.wait_for(state="attached")
        return plot

    def rows(self) -> list[str]:
        """The texts of the messages in the table."""
        return self.page.locator(".messages tbody .text").all_inner_texts()

    def found(self) -> str:
        """What the table says of how many there are."""
        return self.page.locator("#found").inner_text()

    def assert_clean(self) -> None:
        assert self.complaints == []
        assert self.requests == [self.url]
        assert self.page.evaluate("window.hacked") is None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium to open the report")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def report(journal_dir: Path, tmp_path: Path) -> Path:
    """Where the report is to be written."""
    return tmp_path / "report.html"


def open_report(browser: Browser, path: Path, *, dark: bool = False, width: int = 1280) -> Opened:
    with pytest.raises(SystemExit, match="0"):
        main(["report", "-o", str(path)])
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    opened = Opened(page, path.as_uri())

    def complain(message: ConsoleMessage) -> None:
        opened.complaints.append(message.text)

    page.on("console", complain)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(opened.url)
    return opened


def at(seconds: float) -> int:
    return START + int(seconds * SECOND)


def a_training(root: Path, *more: rec.Record) -> None:
    losses = [math.nan if step == 50 else math.inf if step == 60 else 1 / (step + 1) for step in range(200)]
    write_journal(
        root,
        identity("job-1"),
        rec.StepStarted(at(0), b"L" * 8, b"", "load"),
        rec.Event(at(0.5), b"L" * 8, b"", "data_loaded", "info", {"count": 1000, "api_key": "abc"}, "/data.csv"),
        rec.StepEnded(at(2), b"L" * 8, "completed"),
        *(rec.Metrics(at(2 + step / 100), b"", b"", "training", {"loss": loss}) for step, loss in enumerate(losses)),
        rec.Progress(at(3), b"", b"", "epochs", 1, 4),
        rec.Progress(at(5), b"", b"", "epochs", 4, 4),
        rec.Message(at(6), b"", b"", "memory is low", "warning"),
        rec.DevEvent(at(7), b"", b"", "cache", {"hits": 3}),
        *more,
        rec.RunEnded(at(8), "completed"),
    )


def test_the_page_loads_without_a_complaint_and_requests_only_itself(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """The file is complete: the browser asks for nothing else, and finds nothing wrong with it."""
    a_training(journal_dir)
    opened = open_report(browser, report)
    opened.drawn()

    opened.assert_clean()
    assert opened.page.title() == "train ✔ completed"
    assert opened.page.locator(".spans li:not(.axis) .name").all_inner_texts() == ["train", "load", "epochs"]
    assert opened.page.locator(".progress li").inner_text().split() == ["epochs", "100", "%", "4", "/", "4", "2.0", "s"]


def test_a_chart_draws_its_samples_with_gaps_and_marks_where_they_are_no_numbers(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """The curve has every sample; it is interrupted twice, and a mark stands at the NaN and at the infinity."""
    a_training(journal_dir)
    plot = open_report(browser, report).drawn()

    assert plot.evaluate("plot => plot.data[0].x.length") == 200
    assert plot.locator(".js-line").count() == 3
    assert plot.evaluate("plot => [...plot.data[1].text]") == ["NaN", "Infinity"]
    assert plot.locator(".points path").count() == 2


def test_a_chart_tells_time_and_value_under_the_mouse_and_zooms(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """Hovering shows a sample's time and value; dragging zooms; a double click shows all again."""
    a_training(journal_dir)
    opened = open_report(browser, report)
    page, plot = opened.page, opened.drawn()
    drag = page.locator("figure .nsewdrag").first
    box = drag.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2

    page.mouse.move(box["x"] + box["width"] * 0.75, middle)
    hover = plot.locator(".hoverlayer text")
    hover.first.wait_for(state="attached")
    time_of_day, value = hover.all_text_contents()
    assert time_of_day.startswith("15:06:43.")
    assert value == f"{1 / (round(100 * (float(time_of_day[-6:]) - 42)) + 1):.7g}"

    whole = plot.evaluate("plot => plot.layout.xaxis.range")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, middle, steps=5)
    page.mouse.up()
    page.wait_for_function("whole => document.querySelector('.plot').layout.xaxis.range[0] > whole[0]", arg=whole)
    page.mouse.dblclick(box["x"] + 40, middle)
    page.wait_for_function(
        "whole => String(document.querySelector('.plot').layout.xaxis.range) === String(whole)", arg=whole
    )


def test_a_chart_is_read_and_zoomed_by_keyboard(browser: Browser, journal_dir: Path, report: Path) -> None:
    """The arrows show one sample after the other, plus zooms in on it, and 0 shows all again."""
    a_training(journal_dir)
    opened = open_report(browser, report)
    page, plot = opened.page, opened.drawn()
    plot.focus()
    whole = plot.evaluate("plot => plot._fullLayout.xaxis.range")

    page.keyboard.press("ArrowRight")
    plot.locator(".hoverlayer text").first.wait_for(state="attached")
    assert plot.locator(".hoverlayer text").all_text_contents() == ["15:06:42.000", "1"]
    is_whole = "whole => String(document.querySelector('.plot').layout.xaxis.range) === String(whole)"
    page.keyboard.press("+")
    page.wait_for_function(f"whole => !({is_whole})(whole)", arg=whole)
    page.keyboard.press("0")
    page.wait_for_function(is_whole, arg=whole)


def test_messages_are_searched_and_filtered(browser: Browser, journal_dir: Path, report: Path) -> None:
    """Words are found in text, data, files and steps; levels are hidden and shown; dev events come on demand."""
    a_training(journal_dir)
    opened = open_report(browser, report)
    page = opened.page
    search = page.locator("#search")

    def rows_with(words: str) -> list[str]:
        search.fill(words)
        return opened.rows()

    assert opened.rows() == ["data_loaded", "memory is low"]
    page.keyboard.press("/")
    page.keyboard.type("LOW memory")
    assert opened.rows() == ["memory is low"]
    assert page.locator("mark").all_inner_texts() == ["memory", "low"]
    assert [rows_with(words) for words in ("1000", "data.csv", "abc", "nowhere")] == [["data_loaded"]] * 2 + [[]] * 2
    assert opened.found() == "nothing found"
    assert rows_with("") == ["data_loaded", "memory is low"]
    page.get_by_role("button", name="info").click()
    assert opened.rows() == ["memory is low"]
    page.get_by_role("button", name="dev events").press("Enter")
    assert opened.rows() == ["memory is low", "cache"]
    page.locator("summary").click()
    assert page.locator("details pre").inner_text() == '{\n  "hits": 3\n}'


def test_numbers_in_data_are_found_and_shown_as_they_were_reported(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """A whole number that no double holds is itself, and a float stays one."""
    a_training(journal_dir, rec.Event(at(7.5), b"", b"", "seeded", "info", {"seed": 2**53 + 1, "scale": 1.0}))
    opened = open_report(browser, report)
    page = opened.page

    page.locator("#search").fill("seed=9007199254740993 scale=1.0")
    assert opened.rows() == ["seeded"]
    assert page.locator(".pairs mark").all_inner_texts() == ["seed=9007199254740993", "scale=1.0"]
    page.locator("summary").click()
    assert page.locator("details pre").inner_text() == '{\n  "seed": 9007199254740993,\n  "scale": 1.0\n}'


def test_what_a_run_says_is_never_executed_and_always_visible(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """Markup in every name, message and value of a run is shown as the text that it is."""
    trouble = f"{EVERYTHING} \u202egnp.exe"
    who = {"resource": {"process.pid": 7, "host.name": EVERYTHING}}
    for number, worker in ((1, {}), (2, {"worker": True, "started": at(0.5)})):
        write_journal(
            journal_dir,
            identity(EVERYTHING, name=EVERYTHING, number=number, trace_id=b"T" * 16, **who, **worker),
            rec.ActionNamed(at(0), f"action {EVERYTHING}"),
            rec.StepStarted(at(1), b"L" * 8, b"", EVERYTHING),
            *(rec.Metrics(at(t), b"L" * 8, b"", EVERYTHING, {EVERYTHING: t}) for t in (1, 2, 3)),
            rec.Progress(at(2), b"L" * 8, b"", EVERYTHING, 1, 2),
            rec.Message(at(3), b"L" * 8, b"", trouble, "info"),
            rec.Message(at(3), b"L" * 8, b"", EVERYTHING * 900, "info"),
            rec.Event(at(4), b"L" * 8, b"", EVERYTHING, "info", {EVERYTHING: [EVERYTHING]}, EVERYTHING),
            rec.ExceptionRecorded(at(5), b"L" * 8, b"", EVERYTHING, EVERYTHING, f"Traceback\n{EVERYTHING}"),
            rec.StepEnded(at(5), b"L" * 8, "failed", EVERYTHING),
            rec.RunEnded(at(6), "failed", EVERYTHING),
        )
    opened = open_report(browser, report)
    page = opened.page
    opened.drawn().focus()
    page.keyboard.press("ArrowRight")
    page.locator("figure .hoverlayer text").first.wait_for(state="attached")
    for summary in page.locator("summary").all():
        summary.click()

    opened.assert_clean()
    names = ("h1", ".facts div:nth-child(2) dd", ".progress .name bdi", ".step .name bdi", "figcaption bdi", "h3")
    places = (*names, ".failure .message")
    seen = {place: page.locator(place).first.text_content() for place in places}
    assert seen == dict.fromkeys(places, EVERYTHING)
    assert page.locator(".failure pre").first.inner_text() == f"Traceback\n{EVERYTHING}"
    assert opened.rows()[0] == f"{EVERYTHING} \\u202egnp.exe"
    assert page.locator("details pre").nth(1).inner_text() == EVERYTHING * 900
    hover = "".join(page.locator("figure .hoverlayer text").all_text_contents())
    assert f"worker pid 7 on {EVERYTHING}"[:50] in hover
    assert page.locator("img, a, b[onclick], svg[onload]").count() == 0


def test_a_script_that_got_into_the_page_would_neither_run_nor_send(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """The page's policy is a second line of defence: only the scripts it was made with run, and none requests."""
    a_training(journal_dir)
    page = open_report(browser, report).page
    changed = report.with_name("changed.html")
    changed.write_text(report.read_text(encoding="utf-8").replace("</h1>", "</h1><script>window.hacked = 1</script>"))
    page.goto(changed.as_uri())

    assert page.evaluate("window.hacked") is None
    assert page.evaluate("fetch('data:,x').then(() => 'sent', () => 'refused')") == "refused"


def test_ten_thousand_messages_are_opened_and_searched_at_once(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """The table holds one page of rows, however many messages there are; a search does not take longer than loading."""
    write_journal(
        journal_dir,
        identity("job-1"),
        *(rec.Message(at(n / 100), b"", b"", f"message number {n}", "info") for n in range(10_000)),
        rec.RunEnded(at(100), "completed"),
    )
    before = time.perf_counter()
    opened = open_report(browser, report)
    loaded = time.perf_counter() - before
    page = opened.page

    assert opened.found() == "1–100 of 10,000"
    assert len(opened.rows()) == 100
    page.get_by_role("button", name="Last").click()
    assert opened.rows()[-1] == "message number 9999"
    before = time.perf_counter()
    page.locator("#search").fill("number 777")
    assert opened.found() == "1–19 of 19"
    searched = time.perf_counter() - before
    assert opened.rows() == [f"message number {n}" for n in range(10_000) if "777" in str(n)]
    assert searched < loaded
    opened.assert_clean()


def test_a_curve_of_a_hundred_thousand_samples_stays_usable(browser: Browser, journal_dir: Path, report: Path) -> None:
    """It is drawn from few points, says so, and still has the one spike."""
    write_journal(
        journal_dir,
        identity("job-1"),
        *(
            rec.Metrics(at(n / 1000), b"", b"", "train", {"loss": 99.0 if n == 54_321 else n % 7})
            for n in range(100_000)
        ),
        rec.RunEnded(at(100), "completed"),
    )
    opened = open_report(browser, report)
    plot = opened.drawn()

    assert plot.evaluate("plot => [plot.data[0].x.length, Math.max(...plot.data[0].y)]") == [9525, 99]
    assert "Drawn are the least and the greatest of every 21 samples" in opened.page.locator("figure").inner_text()
    opened.assert_clean()


def test_the_curves_of_several_processes_are_told_apart_and_hidden_one_by_one(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """Every process has its colour, its row of numbers and a button that hides its curves."""
    for number in range(1, 5):
        write_journal(
            journal_dir,
            identity("job-1", number=number, trace_id=b"T" * 16, worker=number > 1, started=START + number),
            *(rec.Metrics(at(n), b"", b"", "train", {"loss": n + number}) for n in range(10)),
            rec.RunEnded(at(10), "completed"),
        )
    opened = open_report(browser, report)
    page, lines = opened.page, opened.drawn().locator(".js-line")

    assert len({line.evaluate("line => line.style.stroke") for line in lines.all()}) == 4
    names = ["pid 101", "pid 102", "pid 103", "pid 104"]
    assert [text.strip() for text in page.locator(".numbers tbody th").all_inner_texts()] == names
    page.get_by_role("button", name="pid 102").click()
    page.wait_for_function("document.querySelectorAll('figure .js-line').length === 3")


def test_the_page_is_dark_where_the_reader_prefers_it_and_fits_narrow_screens(
    browser: Browser, journal_dir: Path, report: Path
) -> None:
    """Page and charts follow the reader's scheme, also when it changes; nothing is wider than a phone."""
    a_training(journal_dir)
    opened = open_report(browser, report, dark=True, width=420)
    page, line = opened.page, opened.drawn().locator(".js-line").first

    def colours() -> tuple[str, str]:
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return body, line.evaluate("line => line.style.stroke")

    assert page.evaluate("document.documentElement.scrollWidth") == 420
    dark = colours()
    page.emulate_media(color_scheme="light")
    page.wait_for_function("dark => document.querySelector('figure .js-line').style.stroke !== dark", arg=dark[1])
    assert [dark, colours()] == [
        ("rgb(15, 19, 25)", "rgb(122, 162, 255)"),
        ("rgb(246, 247, 249)", "rgb(56, 103, 214)"),
    ]
