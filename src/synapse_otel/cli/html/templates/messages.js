"use strict";
// The table of messages: a page of rows at a time, of those that are searched for. Everything is set as text.
(() => {
  const table = document.querySelector(".messages tbody");
  if (!table) return;
  const { rows, processes } = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 100, LONG = 600, SHORT = 80;
  const search = document.getElementById("search"), dev = document.getElementById("dev-events");
  const levels = [...document.querySelectorAll("[data-level]")];
  const pager = Object.fromEntries([...document.querySelectorAll("[data-page]")].map((button) => [button.dataset.page, button]));
  let found = rows, page = 0, words = [];

  const haystack = ({ text, pairs, data, file, step, process }) =>
    [text, pairs ?? "", data ?? "", file ?? "", step ?? "", processes.length > 1 ? processes[process] : ""].join("\n").toLowerCase();

  function element(name, content, kind = "") {
    const made = document.createElement(name);
    made.className = kind;
    made.append(...[content].flat());
    return made;
  }

  function marked(text) {
    const parts = [], lowered = text.toLowerCase();
    let at = 0;
    while (words.length && lowered.length === text.length) {
      const next = words.map((word) => [lowered.indexOf(word, at), word.length]).filter(([start]) => start >= 0).sort((a, b) => a[0] - b[0])[0];
      if (!next) break;
      parts.push(text.slice(at, next[0]), element("mark", text.slice(next[0], next[0] + next[1])));
      at = next[0] + next[1];
    }
    return [...parts, text.slice(at)];
  }

  const short = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

  function message({ kind, text, pairs, data, file, process }) {
    const line = [element("span", marked(short(text, LONG)), "text")];
    if (data) line.push(element("span", marked(pairs), "pairs"));
    if (file) line.push(element("span", marked(short(file, 3 * SHORT)), "pairs"));
    if (!data && !file && text.length <= LONG) return line;
    const about = [kind.replace("_", " "), file, processes.length > 1 ? processes[process] : ""].filter(Boolean).join(" · ");
    const details = element("details", [element("summary", line), element("p", about, "about")]);
    // Filled when it is opened: it may be long.
    details.addEventListener("toggle", () => {
      if (text.length > LONG) details.append(element("pre", text));
      if (data) details.append(element("pre", data));
    }, { once: true });
    return details;
  }

  function row(one) {
    const cells = [element("td", one.time), element("td", one.level, `level ${one.level}`), element("td", message(one)), element("td", marked(short(one.step ?? "", SHORT)))];
    if (processes.length > 1) {
      cells[0].prepend(element("span", "", `owner p${one.process % 8}`));
      cells[0].title = processes[one.process];
    }
    return element("tr", cells, `${one.kind} ${one.level}`);
  }

  function show() {
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    page = Math.min(Math.max(0, page), last);
    const from = page * PAGE, shown = found.slice(from, from + PAGE);
    table.replaceChildren(...shown.map(row));
    const count = found.length.toLocaleString("en"), place = `${(from + 1).toLocaleString("en")}–${(from + shown.length).toLocaleString("en")} of ${count}`;
    document.getElementById("found").textContent = found.length ? place : "nothing found";
    pager.first.disabled = pager.previous.disabled = page === 0;
    pager.next.disabled = pager.last.disabled = page === last;
  }

  function filter() {
    const wanted = new Set(levels.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.level));
    const withDev = dev?.getAttribute("aria-pressed") === "true";
    words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((one) => {
      if (one.kind === "dev_event" ? !withDev : !wanted.has(one.level)) return false;
      if (!words.length) return true;
      one.haystack ??= haystack(one);
      return words.every((word) => one.haystack.includes(word));
    });
    page = 0;
    show();
  }

  for (const chip of [...levels, dev].filter(Boolean)) {
    chip.addEventListener("click", () => { chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") !== "true"); filter(); });
  }
  for (const [name, to] of Object.entries({ first: () => 0, previous: () => page - 1, next: () => page + 1, last: () => Infinity })) {
    pager[name].addEventListener("click", () => { page = to(); show(); });
  }
  search.addEventListener("input", filter);
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input")) return;
    event.preventDefault();
    search.focus();
  });
  filter();
})();
