/* What labels bought and where the time went, by condition. */

const CONDITIONS = 24; /* conditions in one figure; the best come first */
const KEYS = 20;

function rooted(x) {
  return Math.sqrt(Math.max(0, x));
}

/* Accuracy against labels, with intervals and the frontier; labels on a square-root scale. */
function budget(node) {
  const conditions = data.conditions.filter((condition) => condition.accuracy && condition.labels);
  const crowded = conditions.length > KEYS; /* too many for a key: those on the frontier bear their names */
  const traces = conditions.map((condition) => {
    const place = data.conditions.indexOf(condition);
    const [y, low, high] = condition.accuracy;
    const words = `${safe(clipped(condition.name, 60))}<br>${number(y)} [${number(low)}, ${number(high)}]<br>${number(condition.labels[0])} labels${condition.oracle ? "<br>reads labels nobody bought" : ""}`;
    return {
      x: [rooted(condition.labels[0])], y: [y], name: safe(clipped(condition.name, 40)), mode: "markers", hoverinfo: "text", text: [words], cliponaxis: false,
      marker: { symbol: MARKS[place % MARKS.length] + (condition.oracle ? "-open" : ""), size: 12, color: hue(place), line: { width: condition.oracle ? 2 : 0, color: hue(place) } },
      error_y: { type: "data", symmetric: false, array: [high - y], arrayminus: [y - low], color: hue(place), thickness: 1.5, width: 4 },
    };
  });
  const edge = conditions.filter((condition) => condition.frontier).sort((a, b) => a.labels[0] - b.labels[0] || a.accuracy[0] - b.accuracy[0]);
  if (edge.length > 1) {
    traces.unshift({
      x: edge.map((condition) => rooted(condition.labels[0])), y: edge.map((condition) => condition.accuracy[0]), mode: "lines", name: "frontier", hoverinfo: "skip",
      line: { shape: "hv", color: colour("quiet"), width: 1.2, dash: "dot" },
    });
    if (crowded) {
      const named = edge.filter((condition, i) => condition.labels[0] !== edge[i + 1]?.labels[0]);
      traces.push({
        x: named.map((condition) => rooted(condition.labels[0])), y: named.map((condition) => condition.accuracy[0]), mode: "text", text: named.map((condition) => safe(clipped(condition.name, 40))), textposition: "top left", hoverinfo: "skip",
      });
    }
  }
  const starts = conditions.map((condition) => condition.start).filter((start) => start !== null);
  if (starts.length) {
    const start = starts.reduce((sum, one) => sum + one, 0) / starts.length;
    traces.push({
      x: [0], y: [start], name: "untrained model", mode: "markers", hoverinfo: "text", text: [`untrained model<br>${number(start)}`], cliponaxis: false,
      marker: { symbol: "x-thin-open", size: 11, color: colour("quiet"), line: { width: 2, color: colour("quiet") } },
    });
  }
  const most = Math.max(1, ...conditions.map((condition) => condition.labels[2]));
  const wide = node.clientWidth > 700;
  const ticks = ticksTo(most, wide);
  return [traces, layout({
    showlegend: !crowded, hovermode: "closest", margin: { l: 48, r: 24, t: 8, b: 48 },
    legend: wide ? legend({ orientation: "v", x: 1.02, y: 1, yanchor: "top" }) : legend({ y: -0.2 }),
    xaxis: axis({ title: "labels bought", tickvals: ticks.map(rooted), ticktext: ticks.map((t) => t.toLocaleString("en")), range: [-0.03 * rooted(most), 1.04 * rooted(most)] }),
    yaxis: axis({ title: "held-out accuracy at the end", ...ranged("accuracy") }),
  })];
}

function ticksTo(most, wide) {
  const ticks = (wide ? [0, 0.02, 0.1, 0.25, 0.5, 1] : [0, 0.1, 0.4, 1]).map((share) => share * most);
  return [...new Set(ticks.map((t) => Number(t.toPrecision(t > most / 2 ? 2 : 1))))];
}

function stacked(node, conditions, parts, title) {
  const left = Math.min(200, node.clientWidth * 0.42);
  const size = left < 200 ? 10 : 12;
  node.style.height = `${Math.max(9, 6.5 + 1.9 * conditions.length)}rem`;
  const texts = conditions.map((condition) => safe(clipped(condition.name, Math.floor(left / (0.56 * size)))));
  const traces = parts.map(({ name, values, words, fill, pattern }) => ({
    type: "bar", orientation: "h", y: conditions.map((_, i) => i), x: values, name, hoverinfo: "text", text: words, textposition: "none",
    marker: { color: fill, line: { color: colour("paper"), width: 1 }, pattern: { shape: pattern, bgcolor: fill, fgcolor: colour("paper"), size: 6, solidity: 0.18 } },
  }));
  return [traces, layout({
    barmode: "stack", bargap: 0.3, showlegend: true, legend: legend({ y: -44 / (30 * Math.max(conditions.length, 3)), traceorder: "normal" }), margin: { l: left, r: 16, t: 4, b: 40 },
    xaxis: axis({ title: title.text, tickformat: title.format }),
    yaxis: axis({ tickvals: conditions.map((_, i) => i), ticktext: texts, range: [conditions.length - 0.5, -0.5], automargin: false, tickfont: { color: colour("ink"), size } }),
  })];
}

/* What the bought labels were worth. */
function use(node) {
  const conditions = data.conditions.filter((condition) => condition.vote_right !== null).slice(0, CONDITIONS);
  const shares = [
    ["corrected a wrong vote", (condition) => Math.max(0, 1 - condition.vote_right - (condition.none_correct ?? 0)), 0, ""],
    ["confirmed a right vote", (condition) => condition.vote_right, 4, "/"],
    ["no response was correct", (condition) => condition.none_correct ?? 0, 6, "x"],
  ];
  return stacked(node, conditions, shares.map(([name, share, tint, pattern]) => ({
    name, pattern, fill: hue(tint), values: conditions.map(share),
    words: conditions.map((condition) => `${safe(clipped(condition.name, 60))}<br>${Math.round(100 * share(condition))}% ${name}`),
  })), { text: "share of bought labels", format: ".0%" });
}

/* Seconds of a step by phase. */
function phases(node) {
  const conditions = data.conditions.filter((condition) => Object.keys(condition.phases).length).slice(0, CONDITIONS);
  const names = [...new Set(conditions.flatMap((condition) => Object.keys(condition.phases)))];
  const total = (name) => conditions.reduce((sum, condition) => sum + (condition.phases[name] ?? 0), 0);
  names.sort((a, b) => (a === "other") - (b === "other") || total(b) - total(a));
  const patterns = ["", "/", "", "x", "", "\\", "", "-", "."];
  return stacked(node, conditions, names.map((name, i) => ({
    name: safe(name), pattern: patterns[i % patterns.length], fill: hue(i), values: conditions.map((condition) => condition.phases[name] ?? 0),
    words: conditions.map((condition) => `${safe(clipped(condition.name, 60))}<br>${safe(name)}: ${number(condition.phases[name] ?? 0)} s`),
  })), { text: "seconds a step", format: "" });
}

/* Correction per bought label over steps, mean over a condition's runs. */
function value(node) {
  const conditions = data.conditions.filter((condition) => condition.values.length).slice(0, HUES.light.length);
  const traces = conditions.map((condition) => {
    const place = data.conditions.indexOf(condition);
    const curves = condition.values.map(unpacked);
    const { x } = curves.reduce((a, b) => (b.x.length > a.x.length ? b : a));
    const y = x.map((step) => average(curves.map((c) => at(c, step))));
    return {
      x, y, name: safe(clipped(condition.name, 40)), mode: "lines", line: { color: hue(place), dash: DASHES[place % DASHES.length], width: 2 },
      hoverinfo: "text", text: x.map((step, i) => `${safe(clipped(condition.name, 60))}<br>step ${step}: ${number(y[i])}`),
    };
  });
  return [traces, layout({
    showlegend: true, legend: legend({ y: -0.28 }), margin: { l: 44, r: 8, t: 8, b: 40 },
    xaxis: axis({ title: "step" }), yaxis: axis({ title: "reward corrected per label", rangemode: "tozero" }),
  })];
}
