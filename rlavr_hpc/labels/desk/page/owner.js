// Plain polling; the tables are replaced, focus and scroll stay.
async function look() {
  if (document.hidden || document.activeElement?.matches(".scroll")) return;
  try {
    const answer = await fetch("owner", { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("main").replaceChildren(...page.getElementById("main").childNodes);
    document.title = page.title;
  } catch {
    // the next look may reach it
  }
}
setInterval(look, 30000);
