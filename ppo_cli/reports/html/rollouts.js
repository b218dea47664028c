// All rollouts of a run: filter, search, sort, fifty at a time, and what is left as CSV.
const PAGE_ROWS = 50, LINE_LETTERS = 300;
const [UPDATE, EPISODE, ID, CATEGORY, EXPECT, PROMPT, ANSWER, BASELINE, REASONING, TOKENS, ENDED, REWARD, KL, TERMS, BASELINE_TERMS] = Array(15).keys();
const defaults = { q: "", update: "", expect: "", category: "", finish: "", sort: "time", order: "low", page: 1 };
const view = { ...defaults };
const lowered = [], open = new Set();
let shown = [];

const text = (row, field) => row[field] < 0 ? "" : data.texts[row[field]];
const numeral = (value) => value === null || value === undefined ? "–" : value.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");
const found = (place) => place >= 0 && (lowered[place] ??= data.texts[place].toLowerCase()).includes(view.q.toLowerCase());
const values = {
  time: (row) => row[EPISODE], reward: (row) => row[REWARD], kl: (row) => row[KL], tokens: (row) => row[TOKENS],
};
for (const index of data.terms.keys()) values[`term ${index}`] = (row) => row[TERMS][index];

function fits(row) {
  if (view.update && String(row[UPDATE]) !== view.update) return false;
  if (view.expect && text(row, EXPECT) !== view.expect) return false;
  if (view.category && text(row, CATEGORY) !== view.category) return false;
  if (view.finish && (view.finish === "ended") !== Boolean(row[ENDED])) return false;
  return !view.q || [ID, PROMPT, ANSWER].some((field) => found(row[field]));
}

function sorted(rows) {
  const value = values[view.sort] || values.time, sign = view.order === "high" ? -1 : 1;
  const key = (row) => value(row) ?? Infinity * sign;
  return rows.sort((x, y) => sign * (key(x) - key(y)) || x[EPISODE] - y[EPISODE]);
}

function cell(label, content, className = "") {
  const made = make("td", className, content);
  made.dataset.label = label;
  made.setAttribute("role", "cell");
  return made;
}

function block(title, words) {
  const body = make("p", "text", words ? reveal(clipped(words)) : "(empty)");
  body.dir = "auto";
  return [make("h3", "", title), body];
}

function whole(row) {
  const columns = document.createElement("td");
  columns.colSpan = 7 + data.terms.length;
  columns.className = "whole unfolded";
  columns.setAttribute("role", "cell");
  columns.append(make("p", "head", `episode ${row[EPISODE]} · `, make("bdi", "", reveal(text(row, ID))), " · ",
    make("bdi", "", reveal(text(row, CATEGORY))), text(row, EXPECT) ? `, should ${text(row, EXPECT)}` : ""),
    ...block("prompt", text(row, PROMPT)));
  if (row[REASONING] >= 0) columns.append(...block("reasoning", text(row, REASONING)));
  columns.append(...block("answer", text(row, ANSWER)));
  if (row[BASELINE] >= 0) columns.append(...block("first baseline answer", text(row, BASELINE)));
  columns.append(make("p", "quiet", data.terms.map((name, index) =>
    `${reveal(name)} ${numeral(row[TERMS][index])} (baseline ${numeral(row[BASELINE_TERMS][index])})`).join(" · ")));
  return columns;
}

function line(field, row, className) {
  const made = make("span", className, reveal(text(row, field).slice(0, LINE_LETTERS)) || "(empty)");
  made.dir = "auto";
  return made;
}

function rowElements(row) {
  const isOpen = open.has(row[EPISODE]), unsafe = text(row, EXPECT) === "refuse" ? "unsafe" : "";
  const button = make("button", "", isOpen ? "close" : "open");
  button.type = "button";
  button.dataset.episode = row[EPISODE];
  button.setAttribute("aria-expanded", String(isOpen));
  button.setAttribute("aria-label", `${isOpen ? "Close" : "Open"} episode ${row[EPISODE]}`);
  const name = make("th", "", String(row[UPDATE]));
  name.scope = "row";
  name.setAttribute("role", "rowheader");
  name.prepend(make("span", "only-narrow", "update "));
  const element = make("tr", unsafe, name, cell("reward", numeral(row[REWARD]), "strong"),
    ...data.terms.map((term, index) => cell(reveal(term), numeral(row[TERMS][index]))),
    cell("KL", numeral(row[KL])), cell("tokens", String(row[TOKENS])), cell("ended", row[ENDED] ? "yes" : "no"),
    cell("prompt and answer", "", "whole words"), cell("", button, "whole"));
  element.querySelector(".words").append(line(PROMPT, row, "text quiet line"), line(ANSWER, row, "text line"));
  element.setAttribute("role", "row");
  if (!isOpen) return [element];
  const more = make("tr", unsafe, whole(row));
  more.setAttribute("role", "row");
  return [element, more];
}

function drawRows() {
  const first = (view.page - 1) * PAGE_ROWS, rows = shown.slice(first, first + PAGE_ROWS);
  const names = ["update", "reward", ...data.terms.map(reveal), "KL", "tokens", "ended", "prompt and answer", make("span", "hidden", "in full")];
  const head = make("tr", "", ...names.map((name) => {
    const made = make("th", "", name);
    made.scope = "col";
    made.setAttribute("role", "columnheader");
    return made;
  }));
  head.setAttribute("role", "row");
  const top = make("thead", "", head), body = make("tbody", "", ...rows.flatMap(rowElements));
  top.setAttribute("role", "rowgroup");
  body.setAttribute("role", "rowgroup");
  byElementId("rows").replaceChildren(top, body);
  const total = data.rows.length.toLocaleString("en");
  byElementId("count").textContent = shown.length
    ? `${(first + 1).toLocaleString("en")} to ${(first + rows.length).toLocaleString("en")} of ${shown.length.toLocaleString("en")} rollouts` +
      (shown.length < data.rows.length ? ` (${total} in all)` : "")
    : `No rollouts match (${total} in all).`;
  for (const button of document.querySelectorAll("[data-turn]")) button.disabled = !pageAfter(Number(button.dataset.turn));
}

const pageAfter = (step) => {
  const page = view.page + step;
  return page >= 1 && (page - 1) * PAGE_ROWS < shown.length ? page : 0;
};

function draw() {
  shown = sorted(data.rows.filter(fits));
  view.page = Math.max(1, Math.min(view.page, Math.ceil(shown.length / PAGE_ROWS)));
  for (const name of ["update", "expect", "category", "finish", "sort", "order"]) byElementId(name).value = view[name];
  if (byElementId("search").value !== view.q) byElementId("search").value = view.q;
  for (const chip of document.querySelectorAll("[data-sort]"))
    chip.setAttribute("aria-pressed", String(chip.dataset.sort === view.sort && chip.dataset.order === view.order));
  drawRows();
}

function writeLink() {
  const link = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) if (value !== defaults[name]) link.set(name, value);
  try { history.replaceState(null, "", `#${link}`); } catch { /* some hosts forbid it; only the link is lost */ }
}

function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  if (![...link.keys()].some((name) => name in defaults)) return false;
  Object.assign(view, defaults);
  for (const name of Object.keys(defaults)) if (link.has(name)) view[name] = link.get(name);
  view.page = Math.max(1, parseInt(link.get("page"), 10) || 1);
  if (!(view.sort in values)) view.sort = defaults.sort;
  return true;
}

function change(changes) {
  Object.assign(view, { page: 1 }, changes);
  draw();
  writeLink();
}

function turn(step) {
  const page = pageAfter(step);
  if (page) { change({ page }); byElementId("rollouts").scrollIntoView(); }
}

// A cell of a spreadsheet that begins with one of these signs would be run as a formula there.
function csvText(words) {
  const inert = /^[=+\-@\t\r]/.test(words) ? `'${words}` : words;
  return `"${inert.replaceAll('"', '""')}"`;
}

function csv(rows) {
  const names = ["update", "episode", "prompt_id", "category", "expect", "prompt", "answer", "baseline_answer", "reasoning",
    "tokens", "ended", "reward", "kl", ...data.terms.map((name) => `terms.${name}`), ...data.terms.map((name) => `baseline_terms.${name}`)];
  const lines = rows.map((row) => [row[UPDATE], row[EPISODE],
    ...[ID, CATEGORY, EXPECT, PROMPT, ANSWER, BASELINE, REASONING].map((field) => csvText(text(row, field))),
    row[TOKENS], row[ENDED], row[REWARD], row[KL], ...row[TERMS].map((value) => value ?? ""), ...row[BASELINE_TERMS].map((value) => value ?? "")]);
  return [names.map(csvText), ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
}

function saveCsv() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv(shown)], { type: "text/csv" }));
  link.download = `${data.run}-rollouts.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function option(select, value, words) {
  const made = make("option", "", words);
  made.value = value;
  select.append(made);
}

if (data.rows.length) {
  option(byElementId("update"), "", "all");
  for (const update of new Set(data.rows.map((row) => row[UPDATE]))) option(byElementId("update"), String(update), String(update));
  options(byElementId("expect"), data.rows.map((row) => text(row, EXPECT)).filter(Boolean), "anything");
  options(byElementId("category"), data.rows.map((row) => text(row, CATEGORY)).filter(Boolean), "all");
  for (const [value, words] of [["", "any"], ["ended", "ended"], ["cut", "cut off at the limit"]]) option(byElementId("finish"), value, words);
  for (const [value, words] of [["time", "order of training"], ["reward", "reward"], ["kl", "KL"], ["tokens", "tokens"],
    ...data.terms.map((name, index) => [`term ${index}`, reveal(name)])]) option(byElementId("sort"), value, words);
  for (const name of ["update", "expect", "category", "finish", "sort", "order"])
    byElementId(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
  byElementId("search").addEventListener("input", (event) => change({ q: event.target.value }));
  byElementId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const chip of document.querySelectorAll("[data-sort]"))
    chip.addEventListener("click", () => change({ sort: chip.dataset.sort, order: chip.dataset.order }));
  for (const button of document.querySelectorAll("[data-turn]")) button.addEventListener("click", () => turn(Number(button.dataset.turn)));
  byElementId("csv").addEventListener("click", saveCsv);
  byElementId("rows").addEventListener("click", (event) => {
    const episode = Number(event.target.closest("[data-episode]")?.dataset.episode);
    if (!episode) return;
    if (!open.delete(episode)) open.add(episode);
    drawRows();
    document.querySelector(`[data-episode="${episode}"]`).focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select");
    if (typing && event.key === "Escape") typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { byElementId("search").focus(); event.preventDefault(); }
    else if (event.key === "b") blur();
    else if (event.key === "n" || event.key === "p") turn(event.key === "n" ? 1 : -1);
  });
  window.addEventListener("hashchange", () => { if (readLink()) { draw(); byElementId("rollouts").scrollIntoView(); } });
  byElementId("browser").hidden = false;
  const linked = readLink();
  draw();
  if (linked) byElementId("rollouts").scrollIntoView();
}
byElementId("blur").addEventListener("click", blur);
byElementId("blur").hidden = false;
