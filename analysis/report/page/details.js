/* One run's page: a dialog. Everything in it is set as text. */

const dialog = document.getElementById("details");

function section(title, ...children) {
  const made = element("section", null, { class: "part" });
  made.append(element("h3", title), ...children);
  return made;
}

function pairs(entries) {
  const list = element("dl", null, { class: "facts" });
  for (const [what, value] of entries) {
    const row = element("div");
    row.append(element("dt", what), element("dd", value));
    list.append(row);
  }
  return list;
}

function verdict(run) {
  const pill = element("p", null, { class: `pill ${run.outcome}` });
  pill.append(element("span", null, { class: "mark", "aria-hidden": "true" }), element("span", `${WORD[run.outcome]}${run.kind ? `: ${run.kind}` : ""}`));
  const made = [pill, element("p", run.text, { class: "lead" })];
  if (run.warning) made.push(element("p", `Hint of collapse${run.warned === null ? "" : ` at step ${run.warned}`}: ${run.warning}`, { class: "note" }));
  return made;
}

function curves(run, index) {
  const grid = element("div", null, { class: "facets" });
  for (const metric of Object.keys(run.curves)) {
    const figure = element("figure");
    const caption = element("figcaption");
    caption.append(element("h4", titleOf(metric)));
    figure.append(caption, element("div", null, {
      class: "chart small", "data-chart": "single", "data-run": index, "data-metric": metric,
      role: "img", "aria-label": `${titleOf(metric)} over steps`,
    }));
    grid.append(figure);
  }
  return grid;
}

function signals(run) {
  const list = element("ul", null, { class: "signal-list" });
  for (const change of run.signals) {
    const item = element("li", `${change.text} `);
    if (change.detected !== null) item.append(element("span", `Alone it gives an alarm at step ${change.detected}. `, { class: "quiet" }));
    if (!change.free) item.append(element("span", "needs labels", { class: "tag" }));
    list.append(item);
  }
  return list;
}

function example(entry) {
  const { step, prompt, response, ...rest } = entry;
  const made = element("div", null, { class: "example" });
  made.append(element("h4", `Step ${step ?? "?"}`));
  for (const [what, text] of [["Prompt", prompt], ["Response", response]]) {
    if (text !== undefined) made.append(element("span", what, { class: "quiet" }), element("pre", text));
  }
  made.append(pairs(Object.entries(rest).filter(([, text]) => text !== "")));
  return made;
}

function openRun(index) {
  const run = data.runs[index];
  if (!run) return;
  document.getElementById("details-name").textContent = run.name;
  const body = document.getElementById("details-body");
  const hint = element("p", "Lines: onset (solid), detected by label-free signals (dashed), hint of collapse (dotted).", { class: "quiet caption" });
  body.replaceChildren(...verdict(run));
  if (Object.keys(run.curves).length) body.append(section("Signals", curves(run, index), hint));
  if (run.signals.length) body.append(section("How signals changed, strongest first", signals(run)));
  if (run.examples.length) body.append(section("Responses", ...run.examples.map(example)));
  body.append(section("Figures", pairs(run.facts)));
  if (Object.keys(run.settings).length) body.append(section("Settings", pairs(Object.entries(run.settings))));
  if (run.problems.length) body.append(section("Problems", pairs(run.problems)));
  dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, "", `#run=${encodeURIComponent(run.name)}`);
  watchCharts(body);
}

function openNamed(name) {
  openRun(data.runs.findIndex((run) => run.name === name));
}

function details() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    const row = event.target.closest("#table tbody tr");
    if (button?.dataset.name !== undefined) openNamed(button.dataset.name);
    else if (button || row) openRun(Number((button ?? row).dataset.run));
    else if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  const asked = location.hash.match(/^#run=(.*)$/);
  if (asked) openNamed(decodeURIComponent(asked[1]));
}
