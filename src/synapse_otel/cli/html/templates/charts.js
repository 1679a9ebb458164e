"use strict";
// The charts of the metrics: each is drawn when it comes into sight.
(() => {
  const { charts, processes } = JSON.parse(document.getElementById("data").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  const ODD = { NaN: ["x-thin", 0.03], Infinity: ["triangle-up", 0.97], "-Infinity": ["triangle-down", 0.03] };
  const FEW = 80;
  const hidden = new Set();
  const drawn = new Set();

  // Plotly takes some tags in its labels for markup: what runs call things is text.
  const literal = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const doubles = (packed) => new Float64Array(Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)).buffer);

  function curve({ process, times, values }) {
    const x = doubles(times), y = doubles(values);
    const look = { color: colour(`p${process % 8}`), dash: DASHES[Math.floor(process / 8) % 4], width: x.length > 1000 ? 1.25 : 1.75 };
    const name = processes.length > 1 ? literal(processes[process]) : "";
    const common = { type: "scatter", name, process, visible: !hidden.has(process) };
    const traces = [{
      ...common, x, y, line: look, marker: { color: look.color, size: 5 }, mode: x.length <= FEW ? "lines+markers" : "lines",
      hovertemplate: "<b>%{y:.7~g}</b><extra>%{fullData.name}</extra>",
    }];
    const at = [...y.keys()];
    // A number between two that are none is a line without length.
    const lonely = x.length <= FEW ? [] : at.filter((i) => isFinite(y[i]) && !isFinite(y[i - 1]) && !isFinite(y[i + 1]));
    if (lonely.length) {
      traces.push({ ...common, x: lonely.map((i) => x[i]), y: lonely.map((i) => y[i]), mode: "markers", marker: { color: look.color, size: 5 }, hoverinfo: "skip" });
    }
    const odd = at.filter((i) => !isFinite(y[i]));
    if (odd.length) {
      const looks = odd.map((i) => ODD[String(y[i])]);
      traces.push({
        ...common, x: odd.map((i) => x[i]), y: looks.map((one) => one[1]), yaxis: "y2", mode: "markers", text: odd.map((i) => String(y[i])),
        marker: { symbol: looks.map((one) => one[0]), size: 8, color: colour("bad"), line: { color: colour("bad"), width: 2 } },
        hovertemplate: "<b>%{text}</b> at %{x|%H:%M:%S.%L}<extra>%{fullData.name}</extra>",
      });
    }
    return traces;
  }

  function layout(figure, plot) {
    const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true };
    const font = { family: getComputedStyle(document.body).fontFamily, size: 11, color: colour("dim") };
    const log = figure.querySelector(".log")?.getAttribute("aria-pressed") === "true";
    return {
      height: 220, margin: { l: 44, r: 10, t: 8, b: 24 }, showlegend: false, font, dragmode: "zoom", hovermode: "x unified",
      paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { ...font, size: 12, color: colour("text") }, namelength: 60 },
      xaxis: { ...axis, type: "date", spikecolor: colour("dim"), spikethickness: -1, spikedash: "solid", hoverformat: "%H:%M:%S.%L", nticks: Math.max(2, Math.round(plot.clientWidth / 90)), tickangle: 0 },
      yaxis: { ...axis, type: log ? "log" : "linear", nticks: 6 },
      yaxis2: { overlaying: "y", range: [0, 1], fixedrange: true, visible: false },
    };
  }

  function draw(figure) {
    const plot = figure.querySelector(".plot");
    const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };
    drawn.add(figure);
    return Plotly.react(plot, charts[figure.dataset.chart].curves.flatMap(curve), layout(figure, plot), config);
  }

  // By keyboard: a cursor that reads values, and zoom around it.
  function keys(plot) {
    let cursor = -1;
    const axis = () => plot._fullLayout.xaxis;
    const points = () => plot.data[0].x;
    const range = () => axis().range.map((end) => axis().r2l(end));
    function read(step) {
      const [from, to] = range();
      const seen = [...points().keys()].filter((i) => points()[i] >= from && points()[i] <= to);
      if (!seen.length) return;
      const stride = Math.max(1, Math.round(seen.length / 100)), now = seen.indexOf(cursor);
      cursor = seen[Math.min(seen.length - 1, Math.max(0, now < 0 ? (step > 0 ? 0 : seen.length - 1) : now + step * stride))];
      Plotly.Fx.hover(plot, { xval: points()[cursor], yval: 0 }, "xy");
    }
    function zoom(factor) {
      const [from, to] = range(), middle = cursor < 0 ? (from + to) / 2 : points()[cursor], half = ((to - from) * factor) / 2;
      Plotly.relayout(plot, { "xaxis.range": [middle - half, middle + half] });
    }
    const all = () => Plotly.relayout(plot, { "xaxis.autorange": true, "yaxis.autorange": true });
    const actions = { ArrowLeft: () => read(-1), ArrowRight: () => read(1), "+": () => zoom(0.5), "-": () => zoom(2), 0: all };
    plot.addEventListener("keydown", (event) => {
      if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      actions[event.key]();
    });
  }

  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { sight.unobserve(target); draw(target); }
    }
  }, { rootMargin: "400px" });

  for (const figure of figures) {
    sight.observe(figure);
    keys(figure.querySelector(".plot"));
    const log = figure.querySelector(".log");
    log?.addEventListener("click", () => { log.setAttribute("aria-pressed", log.getAttribute("aria-pressed") !== "true"); draw(figure); });
  }
  for (const chip of document.querySelectorAll("#curves-of button")) {
    chip.addEventListener("click", () => {
      const process = Number(chip.dataset.process), shown = hidden.delete(process);
      if (!shown) hidden.add(process);
      chip.setAttribute("aria-pressed", shown);
      drawn.forEach(draw);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  addEventListener("beforeprint", () => figures.filter((figure) => !drawn.has(figure)).forEach(draw));
})();
