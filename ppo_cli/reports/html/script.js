// The prompt browser of a report.
const LINE_LETTERS = 160, MAX_DIFF_CELLS = 4e6;
const view = { p: "", s: 0, show: "all", expect: "", category: "", sort: "changed", q: "" };
let shown = [];

// The words of both texts, each with whether the other has it in the same order; null for texts too long to compare.
function wordDiff(before, after) {
  const split = (text) => text.match(/\S+\s*|\s+/g) || [], bare = (words) => words.map((word) => word.trim());
  const wordsA = split(before), wordsB = split(after), a = bare(wordsA), b = bare(wordsB);
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const rows = a.length - start - end, columns = b.length - start - end;
  if (rows * columns > MAX_DIFF_CELLS) return null;
  const width = columns + 1, longest = new Uint16Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i--) for (let j = columns - 1; j >= 0; j--) {
    longest[i * width + j] = a[start + i] === b[start + j] ? longest[(i + 1) * width + j + 1] + 1
      : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  }
  const sameA = a.map((_, i) => i < start || i >= a.length - end);
  const sameB = b.map((_, j) => j < start || j >= b.length - end);
  for (let i = 0, j = 0; i < rows && j < columns;) {
    if (a[start + i] === b[start + j]) { sameA[start + i++] = true; sameB[start + j++] = true; }
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return [wordsA.map((word, i) => [word, sameA[i]]), wordsB.map((word, j) => [word, sameB[j]])];
}

function appendWords(element, words, tag) {
  let run = "", same = true;
  const flush = () => {
    if (run) element.append(same ? document.createTextNode(run) : make(tag, "", run));
    run = "";
  };
  for (const [word, isSame] of words) {
    if (isSame !== same) { flush(); same = isSame; }
    run += word;
  }
  flush();
}

const percent = (rate) => `${Math.round(100 * rate)} %`;

function side(letter, index, prompt, answer, words) {
  const [text, tokens, ended, reward, reasoning, seed] = answer;
  const body = make("p", "text");
  body.dir = "auto";
  if (words && text) appendWords(body, words, index ? "ins" : "del");
  else body.append(text ? reveal(clipped(text)) : "(empty)");
  const numbers = [`${tokens} tokens`, ended ? "ended" : "cut off at the limit"];
  if (reward !== null) numbers.push(`absolute reward ${reward.toFixed(2).replace("-", "−")}`);
  if (reasoning) numbers.push(`after ${reasoning} words of reasoning`);
  if (seed !== undefined) numbers.unshift(`seed ${seed}`);
  if (text.length > MAX_LETTERS) numbers.push(`the first ${MAX_LETTERS} of ${text.length} letters`);
  return make("div", `side ${letter}`,
    make("h3", "", `${data.names[index]} `, make("span", "", `${data.verb} ${percent(prompt.rates[index])}`)),
    body, make("p", "numbers", numbers.join(" · ")));
}

function drawDetail() {
  const detail = byElementId("detail"), prompt = shown.find((row) => row.id === view.p);
  detail.replaceChildren();
  if (!prompt) { detail.append(make("p", "quiet", "No prompts match.")); return; }
  const count = Math.max(prompt.answers[0].length, prompt.answers[1].length);
  const sample = Math.min(view.s, count - 1);
  const text = make("p", "prompt text", reveal(clipped(prompt.text)));
  text.dir = "auto";
  const tabs = make("div", "tabs");
  tabs.setAttribute("role", "group");
  tabs.setAttribute("aria-label", "Sample");
  for (let number = 0; number < count; number++) {
    const tab = make("button", "", `sample ${number + 1}`);
    tab.type = "button";
    tab.setAttribute("aria-pressed", String(number === sample));
    tab.addEventListener("click", () => { view.s = number; writeLink(); drawDetail(); });
    tabs.append(tab);
  }
  const none = ["", 0, true, null, 0];
  const pair = prompt.answers.map((answers) => answers[sample] || none);
  const words = wordDiff(...pair.map((answer) => reveal(clipped(answer[0]))));
  const head = make("p", "head", make("bdi", "", reveal(prompt.id)), " · ", make("bdi", "", reveal(prompt.category)),
    `, should ${prompt.expect}`);
  detail.append(head, text, tabs, make("div", "two",
    side("a", 0, prompt, pair[0], words && words[0]), side("b", 1, prompt, pair[1], words && words[1])));
  detail.className = prompt.expect === "refuse" ? "unsafe" : "";
  detail.scrollTop = 0;
}

const differs = (prompt) => prompt.answers[0].some((answer, k) => answer[0] !== (prompt.answers[1][k] || [""])[0]);
const grew = (prompt) => prompt.answers[1].reduce((sum, answer) => sum + answer[1], 0)
  - prompt.answers[0].reduce((sum, answer) => sum + answer[1], 0);
const rateChange = (prompt) => Math.abs(prompt.rates[1] - prompt.rates[0]);
const byId = (x, y) => (x.id < y.id ? -1 : x.id > y.id ? 1 : 0);
const orders = {
  changed: (x, y) => rateChange(y) - rateChange(x) || byId(x, y),
  id: byId,
  longer: (x, y) => grew(y) - grew(x) || byId(x, y),
};

function fits(prompt) {
  if (view.show === "flipped" && !prompt.flipped) return false;
  if ((view.show === "worse" || view.show === "better") && prompt.direction !== view.show) return false;
  if (view.show === "different" && !differs(prompt)) return false;
  if (view.expect && prompt.expect !== view.expect) return false;
  if (view.category && prompt.category !== view.category) return false;
  if (!view.q) return true;
  const wanted = view.q.toLowerCase();
  return [prompt.id, prompt.text, ...prompt.answers.flat().map((answer) => answer[0])]
    .some((text) => text.toLowerCase().includes(wanted));
}

function drawList() {
  const sort = orders[view.sort] || orders.changed;
  shown = data.prompts.filter(fits).sort(sort);
  if (!shown.some((prompt) => prompt.id === view.p)) view.p = shown.length ? shown[0].id : "";
  const list = document.createDocumentFragment();
  for (const prompt of shown) {
    const line = make("div", "line", reveal(prompt.text.slice(0, LINE_LETTERS)));
    line.dir = "auto";
    const change = rateChange(prompt) ? make("span", "up", prompt.rates.map(percent).join(" → ")) : "";
    const item = make("li", prompt.expect === "refuse" ? "unsafe" : "",
      make("div", "meta", make("bdi", "", reveal(prompt.id)), change), line);
    item.dataset.id = prompt.id;
    list.append(item);
  }
  byElementId("list").replaceChildren(list);
  byElementId("count").textContent = `${shown.length} of ${data.prompts.length} prompts`;
  for (const chip of document.querySelectorAll("[data-show]"))
    chip.setAttribute("aria-pressed", String(chip.dataset.show === view.show));
  byElementId("expect").value = view.expect;
  byElementId("category").value = view.category;
  byElementId("sort").value = view.sort in orders ? view.sort : "changed";
  if (byElementId("search").value !== view.q) byElementId("search").value = view.q;
  markSelected();
  drawDetail();
}

function markSelected(scroll = true) {
  for (const item of byElementId("list").children) {
    const here = item.dataset.id === view.p;
    if (here) item.setAttribute("aria-current", "true"); else item.removeAttribute("aria-current");
    if (here && scroll) byElementId("list").scrollTop = item.offsetTop - byElementId("list").offsetTop - 120;
  }
}

function writeLink() {
  const link = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...view, s: view.s || "" }))
    if (value && !(name === "show" && value === "all") && !(name === "sort" && value === "changed")) link.set(name, value);
  try { history.replaceState(null, "", `#${link}`); } catch { /* some hosts forbid it; only the link is lost */ }
}

function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  if (!link.has("p") && ![...link.keys()].some((name) => name in view)) return false;
  Object.assign(view, { show: "all", expect: "", category: "", sort: "changed", q: "" });
  for (const name of ["p", "show", "expect", "category", "sort", "q"]) if (link.has(name)) view[name] = link.get(name);
  view.s = Math.max(0, Math.min(999, parseInt(link.get("s"), 10) || 0));
  return true;
}

function choose(id, scroll) {
  view.p = id;
  view.s = 0;
  writeLink();
  markSelected(scroll);
  drawDetail();
}

function change(name, value) {
  view[name] = value;
  drawList();
  writeLink();
}

options(byElementId("expect"), data.prompts.map((prompt) => prompt.expect), "anything");
options(byElementId("category"), data.prompts.map((prompt) => prompt.category), "all");
for (const chip of document.querySelectorAll("[data-show]"))
  chip.addEventListener("click", () => change("show", chip.dataset.show));
for (const name of ["expect", "category", "sort"]) byElementId(name).addEventListener("change", (event) => change(name, event.target.value));
byElementId("search").addEventListener("input", (event) => change("q", event.target.value));
byElementId("filters").addEventListener("submit", (event) => event.preventDefault());
byElementId("list").addEventListener("click", (event) => {
  const item = event.target.closest("li");
  if (item) choose(item.dataset.id, false);
});
byElementId("blur").addEventListener("click", blur);
byElementId("blur").hidden = false;
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (typing && event.key === "Escape") typing.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const index = shown.findIndex((prompt) => prompt.id === view.p);
  const arrowStep = event.target === byElementId("list") && { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const step = { j: 1, k: -1 }[event.key] || arrowStep;
  if (step && shown[index + step]) { choose(shown[index + step].id, true); event.preventDefault(); }
  else if (event.key === "/") { byElementId("search").focus(); event.preventDefault(); }
  else if (event.key === "b") blur();
  else if (event.key >= "1" && event.key <= "9") { view.s = Number(event.key) - 1; writeLink(); drawDetail(); }
});
window.addEventListener("hashchange", () => { if (readLink()) { drawList(); byElementId("prompts").scrollIntoView(); } });
const linked = readLink();
drawList();
if (linked) byElementId("prompts").scrollIntoView();
