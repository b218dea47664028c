// The list of all runs: what the filters leave, in the table and on the charts.
const view = { q: "", status: "", verdict: "" };

function fits(run) {
  if (view.status && run.status !== view.status) return false;
  if (view.verdict && run.verdict !== view.verdict) return false;
  return byElementId(`run${run.number}`).textContent.toLowerCase().includes(view.q.toLowerCase());
}

function draw() {
  let left = 0;
  for (const run of data) {
    const fitting = fits(run);
    left += Number(fitting);
    byElementId(`run${run.number}`).hidden = !fitting;
    for (const mark of document.querySelectorAll(`svg [id*="-run${run.number}-"]`)) mark.style.display = fitting ? "" : "none";
  }
  byElementId("count").textContent = `${left} of ${data.length} runs`;
}

if (data.length) {
  options(byElementId("status"), data.map((run) => run.status), "all");
  options(byElementId("verdict"), data.map((run) => run.verdict).filter(Boolean), "all");
  for (const [name, element, kind] of [["q", "search", "input"], ["status", "status", "change"], ["verdict", "verdict", "change"]])
    byElementId(element).addEventListener(kind, (event) => { view[name] = event.target.value; draw(); });
  byElementId("filters").addEventListener("submit", (event) => event.preventDefault());
  byElementId("filters").hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select")) return;
    byElementId("search").focus();
    event.preventDefault();
  });
  draw();
}
