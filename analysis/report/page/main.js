/* Figures are drawn when they come near the screen, again when paper turns dark, all for print. */

const KINDS = { facet, signal, single, budget, use, value, phases };
const PAGE = 12; /* conditions shown at first */
const drawn = new Set();

function draw(node) {
  const [traces, plan] = KINDS[node.dataset.chart](node);
  const small = node.classList.contains("small");
  window.Plotly.react(node, traces, plan, config(!small));
  if (!drawn.has(node)) {
    node.on("plotly_click", ({ points: [point] }) => {
      if (typeof point.customdata === "number") openRun(point.customdata);
    });
  }
  drawn.add(node);
}

const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !drawn.has(target)) draw(target);
  }
}, { rootMargin: "400px" });

function watchCharts(root) {
  for (const node of drawn) {
    if (!node.isConnected) { window.Plotly.purge(node); drawn.delete(node); }
  }
  root.querySelectorAll("[data-chart]").forEach((node) => near.observe(node));
}

function redraw(which = () => true) {
  for (const node of drawn) if (node.isConnected && which(node)) draw(node);
}

function drawAll() {
  document.querySelectorAll("[data-chart]").forEach((node) => {
    if (!drawn.has(node) && node.offsetParent !== null) draw(node);
  });
}

function countCollapsed(runs) {
  return runs.filter((run) => run.outcome === "collapsed").length;
}

/* The next conditions' panels; where they do not all fit at once, those with collapsed runs come first. */
function addFacets(from) {
  const box = document.getElementById("facets");
  const members = data.conditions.map(() => []);
  for (const run of data.runs) members[run.condition].push(run);
  const conditions = data.conditions.map((condition, index) => ({ condition, index, runs: members[index] })).filter(({ runs }) => runs.some((r) => Object.keys(r.curves).length));
  if (conditions.length > PAGE) conditions.sort((a, b) => Boolean(countCollapsed(b.runs)) - Boolean(countCollapsed(a.runs)));
  for (const { condition, index, runs } of conditions.slice(from, from + PAGE)) {
    const judged = runs.filter((r) => r.outcome === "collapsed" || r.outcome === "healthy").length;
    const collapsed = countCollapsed(runs);
    const words = judged ? `${collapsed} of ${judged} collapsed` : "cannot be judged";
    const figure = element("figure");
    const caption = element("figcaption");
    caption.append(element("h3", condition.name), element("p", words));
    figure.append(caption, element("div", null, {
      class: "chart small", "data-chart": "facet", "data-condition": index, role: "img",
      "aria-label": `${condition.name}: ${words}`,
    }));
    box.append(figure);
  }
  const more = document.getElementById("more-facets");
  more.parentElement.hidden = conditions.length <= from + PAGE;
  more.textContent = `Show more conditions (${Math.max(0, conditions.length - from - PAGE)} left)`;
  watchCharts(box);
}

function facets() {
  const select = document.getElementById("metric");
  if (!select) return;
  const found = [...new Set(data.runs.flatMap((run) => Object.keys(run.curves)))];
  const first = [data.main, "accuracy", "oracle/true_reward", "collapse/majority_ratio"].filter((metric) => found.includes(metric));
  for (const metric of [...new Set(first), ...found.filter((m) => !first.includes(m)).sort()]) {
    select.append(element("option", titleOf(metric), { value: metric }));
  }
  const again = () => redraw((node) => node.dataset.chart === "facet");
  select.addEventListener("change", again);
  document.querySelectorAll("input[name=outcome]").forEach((box) => box.addEventListener("change", again));
  addFacets(0);
  document.getElementById("more-facets").addEventListener("click", () => addFacets(document.querySelectorAll("#facets figure").length));
}

/* Served live: load again when the report has changed and nobody reads a run's details. */
function live() {
  let stamp = null;
  setInterval(async () => {
    try {
      const answer = await fetch("stamp", { cache: "no-store" });
      const text = answer.ok ? await answer.text() : stamp;
      if (stamp !== null && text !== stamp && !dialog.open) location.reload();
      stamp ??= text;
    } catch { /* the server is gone: what is shown stays */ }
  }, 5000);
}

document.querySelectorAll(".tools").forEach((tools) => { tools.hidden = false; });
runsTable();
document.querySelectorAll("table.sortable").forEach((table) => sortable(table));
facets();
watchCharts(document);
details();
dark.addEventListener("change", () => redraw());
window.addEventListener("beforeprint", drawAll);
document.querySelectorAll("details").forEach((node) => node.addEventListener("toggle", () => watchCharts(node)));
if (document.body.dataset.live) live();
