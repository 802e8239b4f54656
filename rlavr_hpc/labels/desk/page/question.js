const form = document.getElementById("form");
const field = document.getElementById("answer");
const reading = document.getElementById("reading");
const other = document.getElementById("other");

drawAll(false);
const written = document.getElementById("written");
written.hidden = false;
written.addEventListener("click", () => {
  const pressed = written.getAttribute("aria-pressed") !== "true";
  written.setAttribute("aria-pressed", String(pressed));
  drawAll(pressed);
});

// What the grader reads, while the answer is typed.
let waiting = 0;
let asked = 0;
async function preview() {
  const number = (asked += 1);
  if (!field.value.trim()) return reading.replaceChildren();
  const fields = new URLSearchParams({ key: form.elements.key.value, answer: field.value });
  if (other) fields.set("choice", "other");
  try {
    const reply = await fetch("preview", { method: "POST", body: fields });
    const read = await reply.json();
    if (number === asked) show(read);
  } catch {
    if (number === asked) reading.textContent = "The desk cannot be reached.";
  }
}

function show(read) {
  reading.replaceChildren();
  reading.classList.toggle("bad", Boolean(read.problem));
  if (read.problem) return reading.append(read.problem);
  const said = document.createElement("span");
  said.className = "said";
  if (!read.math || !drawFormula(read.shown, said, false)) said.textContent = read.shown;
  reading.append("Read as ", said);
  if (read.note) {
    const note = document.createElement("span");
    note.className = "hint";
    note.textContent = read.note;
    reading.append(" ", note);
  }
}

if (field) {
  field.addEventListener("input", () => {
    if (other && field.value) other.checked = true;
    clearTimeout(waiting);
    waiting = setTimeout(preview, 400);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(form.querySelector(".main"));
  });
  if (field.value && !document.getElementById("problem")) preview();
}
// The field that is wanted next; a screen reader reads the question with it.
(form.querySelector("input[type=radio]:checked, input[type=radio]") || field).focus({ preventScroll: true });

// One answer per click.
form.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => delete form.dataset.sent);
