/* Curves over steps: a condition's runs, a signal around the onset, one run's signal. */

const LINES = {
  collapsed: { dash: "6px 3px", width: 1.8 },
  healthy: { dash: "solid", width: 1.8 },
  unknown: { dash: "dot", width: 1.8 },
};
const SMOOTHED = 10; /* steps */
const SHARES = ["collapse/risk", "collapse/alarm_evidence", "labels/kept_right"]; /* from 0 to 1 */
const CROWD = 12; /* more runs of a condition are shown as mean and band */
const WORD = { collapsed: "collapsed", healthy: "healthy", unknown: "cannot be judged", planned: "not started" };

function line(run, { x, y }, extra) {
  return {
    x, y, mode: "lines", line: { ...LINES[run.outcome], color: colour(run.outcome) },
    customdata: x.map(() => data.runs.indexOf(run)), hoverinfo: "text",
    text: x.map((step, i) => `${safe(clipped(run.name, 60))}<br>${WORD[run.outcome]}<br>step ${step}: ${number(y[i])}`),
    connectgaps: false, ...extra,
  };
}

function number(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();
}

function marks(runs, metric, field, symbol, name, words) {
  const found = runs.filter((run) => run[field] !== null && at(smoothed(points(run, metric)), run[field]) !== null);
  return {
    x: found.map((run) => run[field]), y: found.map((run) => at(smoothed(points(run, metric)), run[field])),
    mode: "markers", hoverinfo: "text", cliponaxis: false,
    text: found.map((run) => `${safe(clipped(run.name, 60))}<br>${words} at step ${run[field]}`),
    customdata: found.map((run) => data.runs.indexOf(run)),
    marker: { symbol, size: 9, color: colour(name), line: { width: symbol === "x" ? 0 : 1, color: colour("paper") } },
  };
}

/* Mean and 10 to 90% band of many runs of one outcome, on the steps of the longest. */
function band(runs, metric, outcome) {
  const curves = runs.map((run) => smoothed(points(run, metric))).filter(({ x }) => x.length);
  if (!curves.length) return [];
  const x = curves.reduce((a, b) => (b.x.at(-1) > a.x.at(-1) ? b : a)).x;
  const levels = x.map((step) => curves.map((c) => at(c, step)).filter((v) => v !== null).sort((a, b) => a - b));
  const quantile = (values, share) => values[Math.round(share * (values.length - 1))] ?? null;
  const flat = { mode: "lines", line: { width: 0 }, hoverinfo: "skip", x };
  const mean = levels.map((v) => (average(v)));
  return [
    { ...flat, y: levels.map((v) => quantile(v, 0.1)) },
    { ...flat, y: levels.map((v) => quantile(v, 0.9)), fill: "tonexty", fillcolor: `color-mix(in srgb, ${colour(outcome)} 22%, transparent)` },
    {
      x, y: mean, mode: "lines", line: { ...LINES[outcome], color: colour(outcome), width: 2.4 }, hoverinfo: "text",
      text: x.map((step, i) => `mean of ${counted(levels[i].length)} (${WORD[outcome]})<br>step ${step}: ${number(mean[i])}`),
    },
  ];
}

function counted(runs) {
  return `${runs} run${runs === 1 ? "" : "s"}`;
}

function shownOutcomes() {
  const boxes = [...document.querySelectorAll("input[name=outcome]")];
  return new Set(boxes.filter((box) => box.checked).map((box) => box.value));
}

function ranged(metric) {
  const share = metric === "accuracy" || metric.startsWith("oracle/") || SHARES.includes(metric);
  return share ? { range: [-0.03, 1.03], tickvals: [0, 0.25, 0.5, 0.75, 1] } : { nticks: 5 };
}

/* Each value's mean with those of the nine steps before it, as in the definition of a collapse;
   what is measured rarely, as held-out accuracy is, stays as it is. */
function smoothed({ x, y }) {
  const stride = x.length > 1 ? (x.at(-1) - x[0]) / (x.length - 1) : SMOOTHED;
  const width = Math.floor(SMOOTHED / stride);
  if (width < 2) return { x, y };
  return { x, y: y.map((_, i) => average(y.slice(Math.max(0, i - width + 1), i + 1))) };
}

function average(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}

/* One condition's runs over steps. */
function facet(node) {
  const metric = document.getElementById("metric").value;
  const shown = shownOutcomes();
  const runs = data.runs.filter((run) => run.condition === Number(node.dataset.condition) && shown.has(run.outcome));
  const crowded = runs.length > CROWD;
  const traces = crowded
    ? ["healthy", "unknown", "collapsed"].flatMap((o) => band(runs.filter((r) => r.outcome === o), metric, o))
    : runs.map((run) => line(run, smoothed(points(run, metric))));
  if (shown.has("warned")) traces.push(marks(runs, metric, "warned", "triangle-up", "warned", "hint of collapse"));
  traces.push(marks(runs, metric, "onset", "x", "collapsed", "onset of the collapse"));
  return [traces, layout({ xaxis: axis({ range: [0, longest], nticks: 4 }), yaxis: axis(ranged(metric)) })];
}

const longest = Math.max(1, ...data.runs.flatMap((run) => Object.keys(run.curves).map((m) => points(run, m).x.at(-1))));

/* A signal of a condition's collapsed runs, by steps from the onset. */
function signal(node) {
  const { metric } = node.dataset;
  const runs = data.runs.filter((r) => r.condition === Number(node.dataset.condition) && r.outcome === "collapsed" && r.onset !== null);
  const traces = runs.map((run) => {
    const { x, y } = smoothed(points(run, metric));
    const made = line(run, { x: x.map((step) => step - run.onset), y });
    made.text = x.map((step, i) => `${safe(clipped(run.name, 60))}<br>step ${step}, ${step - run.onset} from the onset: ${number(y[i])}`);
    return { ...made, line: { ...made.line, dash: "solid", width: 1.4 }, opacity: 0.75 };
  });
  return [traces, layout({
    xaxis: axis({ nticks: 5 }), yaxis: axis({ nticks: 4 }),
    shapes: [upright(0, "collapsed")],
  })];
}

function upright(x, name, dash = "solid") {
  return { type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: { color: colour(name), width: 1.5, dash } };
}

/* One signal of one run, with its onset, detection and warning. */
function single(node) {
  const run = data.runs[Number(node.dataset.run)];
  const { metric } = node.dataset;
  const events = [["onset", "collapsed", "solid"], ["detected", "healthy", "dash"], ["warned", "warned", "dot"]];
  const drawn = line(run, points(run, metric));
  return [[{ ...drawn, line: { ...drawn.line, dash: "solid" } }], layout({
    xaxis: axis({ range: [0, longest], nticks: 5 }), yaxis: axis(ranged(metric)),
    shapes: events.filter(([field]) => run[field] !== null).map(([field, name, dash]) => upright(run[field], name, dash)),
  })];
}
