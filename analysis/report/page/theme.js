"use strict";
/* Colours, axes and texts that all figures share. plotly reads some tags in texts: safe() first. */

const data = JSON.parse(document.getElementById("data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/* Okabe and Ito's palette, lifted on dark paper where it would be too dim. */
const HUES = {
  light: ["#0072b2", "#b84a00", "#007a5a", "#a3477c", "#8a6100", "#2b7fb0", "#444a4f", "#6b5bb0"],
  dark: ["#63b8ee", "#ff8a3d", "#2fc79b", "#e3a0c6", "#f0c24b", "#8fd0f5", "#c3c9cd", "#b5a8f0"],
};
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "8px 3px"];
const MARKS = ["circle", "square", "diamond", "triangle-up", "cross", "star", "pentagon", "hourglass", "triangle-down"];

function hue(index) {
  const hues = HUES[dark.matches ? "dark" : "light"];
  return hues[index % hues.length];
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/* Colours, marks and dashes repeat after different counts, so that no two conditions look alike. */

/* A text that plotly shows as it is: neither its tags nor its templates. */
function safe(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function clipped(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function axis(extra) {
  return {
    gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true,
    tickfont: { color: colour("quiet"), size: 11 }, fixedrange: narrow(), ...extra,
    ...(extra?.title ? { title: { font: { color: colour("quiet"), size: 12 }, standoff: 8, text: extra.title } } : {}),
  };
}

/* On a touch screen dragging scrolls the page, it does not zoom. */
function narrow() {
  return window.matchMedia("(pointer: coarse), (max-width: 40rem)").matches;
}

function layout(extra) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 12 },
    margin: { l: 36, r: 8, t: 8, b: 24 }, dragmode: narrow() ? false : "zoom",
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
    ...extra,
  };
}

function legend(extra) {
  return { orientation: "h", x: 0, y: -0.18, yanchor: "top", font: { color: colour("ink"), size: 12 }, ...extra };
}

function config(bar) {
  return {
    responsive: true, displaylogo: false, displayModeBar: bar ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg" },
  };
}

/* A run's curve as {x, y}; empty without it. */
function points(run, metric) {
  return unpacked(run.curves[metric]);
}

function unpacked(curve) {
  if (!curve) return { x: [], y: [] };
  const x = curve.even ? curve.v.map((_, i) => curve.s[0] + i * curve.s[1]) : curve.s;
  return { x, y: curve.v };
}

/* The value at a step, between its neighbours; null outside. */
function at({ x, y }, step) {
  if (!x.length || step < x[0] || step > x[x.length - 1]) return null;
  const right = x.findIndex((s) => s >= step);
  if (x[right] === step || right === 0) return y[right];
  const share = (step - x[right - 1]) / (x[right] - x[right - 1]);
  return y[right - 1] + share * (y[right] - y[right - 1]);
}

function titleOf(metric) {
  return data.titles[metric] ?? metric;
}

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== null && text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
