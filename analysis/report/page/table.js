/* Tables: sorted by a click on a column's name; the runs' can be searched and shows few at first. */

function sortable(table, done) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = element("button", head.textContent, { type: "button", class: "sort" });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column], up)));
      done?.();
    });
  });
}

/* Numbers by value, texts by name; what is missing stays last either way. */
function compare(a, b, up) {
  const [left, right] = [key(a), key(b)];
  if ((left === "") !== (right === "")) return left === "" ? 1 : -1;
  const order = typeof left === "number" && typeof right === "number"
    ? left - right : String(left).localeCompare(String(right), "en", { numeric: true });
  return up ? order : -order;
}

function key(cell) {
  if (cell.dataset.sort !== undefined) return cell.dataset.sort === "" ? "" : Number(cell.dataset.sort);
  const text = cell.textContent.trim();
  return text === "–" ? "" : text;
}

function runsTable() {
  const table = document.getElementById("table");
  if (!table) return;
  const [find, only, shown, more] = ["find", "only", "shown", "more"].map((id) => document.getElementById(id));
  let limit = Number(table.dataset.rows);
  const update = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row) => (!only.value || row.dataset.outcome === only.value)
      && words.every((word) => row.textContent.toLowerCase().includes(word));
    const rows = [...table.tBodies[0].rows];
    let found = 0;
    for (const row of rows) row.hidden = !fits(row) || ++found > limit;
    const visible = Math.min(found, limit);
    shown.textContent = `${visible} of ${found === rows.length ? rows.length : `${found} found`}`;
    more.parentElement.hidden = found <= limit;
    more.textContent = `Show all ${found}`;
  };
  find.addEventListener("input", update);
  only.addEventListener("change", update);
  more.addEventListener("click", () => { limit = Infinity; update(); });
  sortable(table, update);
  update();
  table.querySelectorAll("tr.rest").forEach((row) => row.classList.remove("rest"));
}
