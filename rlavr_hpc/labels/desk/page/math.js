// Formulas in texts of strangers. Whatever is no formula, or no bearable one, stays text.
const FORMULA_CHARS = 4000;
const FORMULAS = 300;
const MILLISECONDS = 2000;
const SAFE = {
  throwOnError: true, // error texts are not shown: KaTeX does not escape them
  trust: false,
  strict: "ignore",
  maxExpand: 200,
  maxSize: 10,
  globalGroup: false,
};
const MARKS = [["$$", "$$", true], ["\\[", "\\]", true], ["\\(", "\\)", false], ["$", "$", false]];
const ENVIRONMENT = /^\\begin\{((?:equation|align|gather|alignat|multline)\*?)\}/;

// Where a formula ends that begins before `from`; -1 = nowhere.
function endOf(text, from, mark) {
  let depth = 0;
  for (let i = from; i < text.length; i += 1) {
    if (depth <= 0 && text.startsWith(mark, i)) return i;
    if (text[i] === "\n" && /^\n[ \t]*\n/.test(text.slice(i, i + 40))) return -1;
    if (text[i] === "\\") i += 1;
    else if (text[i] === "{") depth += 1;
    else if (text[i] === "}") depth -= 1;
  }
  return -1;
}

// A dollar that opens has no space behind it; one that closes has none before it and no digit
// behind it. So "$5 and $6" are prices.
function priced(text, from, end) {
  return /\s/.test(text[from]) || /\s/.test(text[end - 1]) || /\d/.test(text[end + 1] || "");
}

// [{text}, {tex, display, text}, ...]
function pieces(text) {
  const found = [];
  let plain = 0;
  let i = 0;
  const add = (end, tex, display) => {
    if (plain < i) found.push({ text: text.slice(plain, i) });
    found.push({ tex, display, text: text.slice(i, end) });
    i = plain = end;
  };
  scan: while (i < text.length && found.length < 2 * FORMULAS) {
    for (const [open, close, display] of MARKS) {
      if (!text.startsWith(open, i)) continue;
      const from = i + open.length;
      const end = endOf(text, from, close);
      if (end <= from || end - from > FORMULA_CHARS) continue;
      if (open === "$" && priced(text, from, end)) continue;
      add(end + close.length, text.slice(from, end), display);
      continue scan;
    }
    const environment = ENVIRONMENT.exec(text.slice(i, i + 30));
    if (environment) {
      const close = `\\end{${environment[1]}}`;
      const end = text.indexOf(close, i) + close.length;
      if (end > close.length && end - i < FORMULA_CHARS) {
        add(end, text.slice(i, end), true);
        continue;
      }
    }
    i += text[i] === "\\" && !/[[(]/.test(text[i + 1] || "") ? 2 : 1;
  }
  if (plain < text.length) found.push({ text: text.slice(plain) });
  return found;
}

// A displayed formula has lines of its own; breaks beside it would make empty ones.
function tightened(found) {
  return found.map((piece, i) => {
    if (piece.tex !== undefined) return piece;
    let { text } = piece;
    if (found[i + 1]?.display) text = text.replace(/\s+$/, "");
    if (found[i - 1]?.display) text = text.replace(/^[ \t]*\n{0,2}[ \t]*/, "");
    return { text };
  });
}

// A bare value of mathematics, `\frac{1}{2}`, and not words.
function isValue(text) {
  return !/[$]|[A-Za-z]{2}/.test(text.replace(/\\[A-Za-z]+|\\./g, " "));
}

// Draw a formula into an element; false = it is none.
function drawFormula(tex, into, display) {
  try {
    katex.render(tex, into, { ...SAFE, displayMode: display, macros: {} });
    return true;
  } catch {
    into.textContent = "";
    return false;
  }
}

function draw(element, text) {
  element.replaceChildren();
  if ("value" in element.dataset && text.length <= FORMULA_CHARS && isValue(text)) {
    if (drawFormula(text, element, false)) return;
  }
  const begun = performance.now();
  for (const piece of tightened(pieces(text))) {
    const span = document.createElement("span");
    const inTime = performance.now() - begun < MILLISECONDS;
    if (piece.tex === undefined || !inTime || !drawFormula(piece.tex, span, piece.display)) {
      element.append(piece.text);
    } else {
      if (piece.display) span.className = "formula";
      element.append(span);
    }
  }
}

function drawAll(written) {
  for (const element of document.querySelectorAll("[data-math]")) {
    element.source ??= element.textContent;
    if (written) element.textContent = element.source;
    else draw(element, element.source);
  }
}
