/* What labels bought and where the time went, by arm. */

const ARMS = 24; /* arms in one figure; the best come first */
const KEYS = 20;

function rooted(x) {
  return Math.sqrt(Math.max(0, x));
}

/* Accuracy against labels, with intervals and the frontier; labels on a square-root scale. */
function budget(node) {
  const arms = data.arms.filter((arm) => arm.accuracy && arm.labels);
  const crowded = arms.length > KEYS; /* too many for a key: those on the frontier bear their names */
  const traces = arms.map((arm) => {
    const place = data.arms.indexOf(arm);
    const [y, low, high] = arm.accuracy;
    const words = `${safe(clipped(arm.name, 60))}<br>${number(y)} [${number(low)}, ${number(high)}]<br>${number(arm.labels[0])} labels${arm.oracle ? "<br>reads labels nobody bought" : ""}`;
    return {
      x: [rooted(arm.labels[0])], y: [y], name: safe(clipped(arm.name, 40)), mode: "markers", hoverinfo: "text", text: [words], cliponaxis: false,
      marker: { symbol: MARKS[place % MARKS.length] + (arm.oracle ? "-open" : ""), size: 12, color: hue(place), line: { width: arm.oracle ? 2 : 0, color: hue(place) } },
      error_y: { type: "data", symmetric: false, array: [high - y], arrayminus: [y - low], color: hue(place), thickness: 1.5, width: 4 },
    };
  });
  const edge = arms.filter((arm) => arm.frontier).sort((a, b) => a.labels[0] - b.labels[0] || a.accuracy[0] - b.accuracy[0]);
  if (edge.length > 1) {
    traces.unshift({
      x: edge.map((arm) => rooted(arm.labels[0])), y: edge.map((arm) => arm.accuracy[0]), mode: "lines", name: "frontier", hoverinfo: "skip",
      line: { shape: "hv", color: colour("quiet"), width: 1.2, dash: "dot" },
    });
    if (crowded) {
      const told = edge.filter((arm, i) => arm.labels[0] !== edge[i + 1]?.labels[0]);
      traces.push({
        x: told.map((arm) => rooted(arm.labels[0])), y: told.map((arm) => arm.accuracy[0]), mode: "text", text: told.map((arm) => safe(clipped(arm.name, 40))), textposition: "top left", hoverinfo: "skip",
      });
    }
  }
  const most = Math.max(1, ...arms.map((arm) => arm.labels[2]));
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

function stacked(node, arms, parts, title) {
  const left = Math.min(200, node.clientWidth * 0.42);
  const size = left < 200 ? 10 : 12;
  node.style.height = `${Math.max(9, 6.5 + 1.9 * arms.length)}rem`;
  const texts = arms.map((arm) => safe(clipped(arm.name, Math.floor(left / (0.56 * size)))));
  const traces = parts.map(({ name, values, words, fill, pattern }) => ({
    type: "bar", orientation: "h", y: arms.map((_, i) => i), x: values, name, hoverinfo: "text", text: words, textposition: "none",
    marker: { color: fill, line: { color: colour("paper"), width: 1 }, pattern: { shape: pattern, bgcolor: fill, fgcolor: colour("paper"), size: 6, solidity: 0.18 } },
  }));
  return [traces, layout({
    barmode: "stack", bargap: 0.3, showlegend: true, legend: legend({ y: -44 / (30 * Math.max(arms.length, 3)), traceorder: "normal" }), margin: { l: left, r: 16, t: 4, b: 40 },
    xaxis: axis({ title: title.text, tickformat: title.format }),
    yaxis: axis({ tickvals: arms.map((_, i) => i), ticktext: texts, range: [arms.length - 0.5, -0.5], automargin: false, tickfont: { color: colour("ink"), size } }),
  })];
}

/* What the bought labels said. */
function use(node) {
  const arms = data.arms.filter((arm) => arm.wasted !== null).slice(0, ARMS);
  const shares = [
    ["corrected a wrong vote", (arm) => Math.max(0, 1 - arm.wasted - (arm.hopeless ?? 0)), 0, ""],
    ["confirmed a right vote", (arm) => arm.wasted, 4, "/"],
    ["hopeless: no response was correct", (arm) => arm.hopeless ?? 0, 6, "x"],
  ];
  return stacked(node, arms, shares.map(([name, share, tint, pattern]) => ({
    name, pattern, fill: hue(tint), values: arms.map(share),
    words: arms.map((arm) => `${safe(clipped(arm.name, 60))}<br>${Math.round(100 * share(arm))}% ${name}`),
  })), { text: "share of bought labels", format: ".0%" });
}

/* Seconds of a step by phase. */
function phases(node) {
  const arms = data.arms.filter((arm) => Object.keys(arm.phases).length).slice(0, ARMS);
  const names = [...new Set(arms.flatMap((arm) => Object.keys(arm.phases)))];
  const total = (name) => arms.reduce((sum, arm) => sum + (arm.phases[name] ?? 0), 0);
  names.sort((a, b) => (a === "other") - (b === "other") || total(b) - total(a));
  const patterns = ["", "/", "", "x", "", "\\", "", "-", "."];
  return stacked(node, arms, names.map((name, i) => ({
    name: safe(name), pattern: patterns[i % patterns.length], fill: hue(i), values: arms.map((arm) => arm.phases[name] ?? 0),
    words: arms.map((arm) => `${safe(clipped(arm.name, 60))}<br>${safe(name)}: ${number(arm.phases[name] ?? 0)} s`),
  })), { text: "seconds a step", format: "" });
}

/* Correction per bought label over steps, mean over an arm's runs. */
function value(node) {
  const arms = data.arms.filter((arm) => arm.values.length).slice(0, HUES.light.length);
  const traces = arms.map((arm) => {
    const place = data.arms.indexOf(arm);
    const curves = arm.values.map(unpacked);
    const { x } = curves.reduce((a, b) => (b.x.length > a.x.length ? b : a));
    const y = x.map((step) => average(curves.map((c) => at(c, step))));
    return {
      x, y, name: safe(clipped(arm.name, 40)), mode: "lines", line: { color: hue(place), dash: DASHES[place % DASHES.length], width: 2 },
      hoverinfo: "text", text: x.map((step, i) => `${safe(clipped(arm.name, 60))}<br>step ${step}: ${number(y[i])}`),
    };
  });
  return [traces, layout({
    showlegend: true, legend: legend({ y: -0.28 }), margin: { l: 44, r: 8, t: 8, b: 40 },
    xaxis: axis({ title: "step" }), yaxis: axis({ title: "reward corrected per label", rangemode: "tozero" }),
  })];
}
