"""The report as a reader meets it, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.browser.conftest import Open
from tests.support.findings import ATTACK

FIGURES = {"facet": 9, "signal": 20, "budget": 1, "use": 1, "value": 1, "phases": 1}
"""Of the made-up study: 9 conditions, 5 signals of 4 conditions with collapsed runs."""
DRAWN = """() => Object.fromEntries([...document.querySelectorAll('[data-chart]')]
  .filter((n) => n.offsetParent !== null).map((n, i) => [`${n.dataset.chart} ${i}`,
  n.querySelectorAll('.scatterlayer path, .barlayer path').length]))"""
TEXT_CONTRASTS = """() => {
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (text) => Math.max(light(text), paper) / Math.min(light(text), paper);
  const inked = '.main-svg text, .quiet, .pill, thead th, button.open';
  return [...document.querySelectorAll(inked)].filter((n) => n.textContent.trim()).map((n) => {
    const style = getComputedStyle(n);
    return contrast(n.matches('.main-svg *') ? style.fill : style.color);
  });
}"""
PAPER = "getComputedStyle(document.body).backgroundColor"


def test_every_figure_is_drawn_without_a_word_on_the_console_or_the_network(
    opened: Open, study: Path
) -> None:
    seen = opened(study)
    seen.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    seen.draw()
    drawn = seen.page.evaluate(DRAWN)
    kinds = [name.split()[0] for name in drawn]
    assert {kind: kinds.count(kind) for kind in FIGURES} == FIGURES
    assert [name for name, paths in drawn.items() if paths == 0] == []
    assert (seen.said, seen.asked) == ([], [])


def test_the_first_screen_says_which_runs_collapsed_when_and_why(opened: Open, study: Path) -> None:
    page = opened(study).page
    assert page.locator("h1").inner_text() == "14 of 37 runs collapsed."
    short = page.locator(".answers")
    box = short.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 900
    text = short.inner_text()
    for words in ("none 5 of 5", "from step 27 to 63, median 45", "Wrong belief 10 runs"):
        assert words in re.sub(r"\s+", " ", text)


def test_links_lead_to_parts_of_the_page_and_to_files_that_exist(opened: Open, study: Path) -> None:
    page = opened(study).page
    links = page.evaluate("[...document.links].map((a) => a.getAttribute('href'))")
    inside = {link[1:] for link in links if link.startswith("#")}
    ids = set(page.evaluate("[...document.querySelectorAll('[id]')].map((n) => n.id)"))
    outside = {link for link in links if not link.startswith("#")}
    assert inside - ids == set()
    assert {"summary.json", "tables/runs.csv", "figures/collapse.svg"} <= outside
    assert [link for link in outside if not (study / unquote(link)).is_file()] == []


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_the_page_is_never_wider_than_the_screen(opened: Open, study: Path, width: int) -> None:
    seen = opened(study, width=width)
    seen.draw()
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    seen.page.locator("button.open").first.click()
    seen.page.wait_for_selector("dialog .main-svg")
    assert seen.page.evaluate("dialog.scrollWidth <= dialog.clientWidth")
    box = seen.page.locator("dialog").bounding_box()
    assert box is not None
    assert (box["x"] >= 0, box["x"] + box["width"] <= width) == (True, True)


def test_names_of_any_length_make_no_page_wider_than_a_phone(
    opened: Open, hostile_study: Path
) -> None:
    seen = opened(hostile_study, width=360)
    seen.draw()
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_page_and_figures_stand_out_from_the_paper(
    opened: Open, study: Path, scheme: str
) -> None:
    seen = opened(study, scheme=scheme)
    seen.draw()
    contrasts = seen.page.evaluate(TEXT_CONTRASTS)
    assert len(contrasts) > 300
    assert min(contrasts) >= 4.5  # WCAG 2.2, AA


def test_figures_follow_when_the_paper_turns_dark(opened: Open, study: Path) -> None:
    seen = opened(study)
    seen.draw()
    page = seen.page
    before = page.evaluate(PAPER)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{PAPER} !== '{before}'")
    assert min(page.evaluate(TEXT_CONTRASTS)) >= 4.5


def test_the_keyboard_opens_and_closes_a_run(opened: Open, study: Path) -> None:
    page = opened(study).page
    name = page.locator("button.open").first
    name.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text() == name.inner_text() == "study/care-0.2-2"
    for words in (
        "collapsed: wrong belief",
        "Collapsed from step 36",
        "Hint of collapse at step 41",
        "Majority ratio: 0.50 to",
        "\\boxed{21}",
        "Peak memory",
    ):
        assert words in dialog.inner_text()
    page.wait_for_selector("dialog .main-svg")
    assert "#run=study%2Fcare-0.2-2" in page.url
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "study/care-0.2-2"


def test_a_link_to_a_run_opens_it(opened: Open, study: Path) -> None:
    page = opened(study, at="#run=study%2Fnone-3").page
    assert page.locator("dialog h2").inner_text() == "study/none-3"


def test_a_click_on_a_column_sorts_by_its_numbers_and_keeps_the_missing_last(
    opened: Open, study: Path
) -> None:
    page = opened(study).page
    column = "[...document.querySelectorAll('#table tbody tr')].map((r) => r.cells[2].textContent)"
    head = page.locator("#table thead button", has_text="Onset")
    head.click()
    up = page.evaluate(column)
    head.click()
    down = page.evaluate(column)
    known = sorted(int(text) for text in up if text.isdigit())
    assert len(known) == 14
    assert [int(text) for text in up[:14]] == known
    assert [int(text) for text in down[:14]] == known[::-1]
    assert page.locator("th[aria-sort=descending]").inner_text().strip() == "Onset"


def test_the_table_of_runs_can_be_searched(opened: Open, study: Path) -> None:
    page = opened(study).page
    page.fill("#find", "random belief")
    rows = page.locator("#table tbody tr:visible th")
    assert rows.all_inner_texts() == ["study/random-0.2-1", "study/random-0.2-4"]
    page.fill("#find", "")
    page.select_option("#only", "planned")
    assert rows.all_inner_texts() == ["study/care-0.1-2"]


def test_a_tick_box_takes_runs_out_of_the_figures(opened: Open, study: Path) -> None:
    seen = opened(study)
    seen.draw()
    lines = "document.querySelectorAll('#facets .scatterlayer path.js-line').length"
    before = seen.page.evaluate(lines)
    seen.page.uncheck("input[value=healthy]")
    assert (before, seen.page.evaluate(lines)) == (39, 16)


def test_hostile_texts_are_shown_and_never_run(opened: Open, hostile_study: Path) -> None:
    seen = opened(hostile_study)
    page = seen.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    seen.draw()
    page.evaluate("""() => window.Plotly.Fx.hover(
      document.querySelector('[data-chart=facet]'), [{ curveNumber: 0, pointNumber: 3 }])""")
    assert ATTACK[:40] in (page.locator(".hoverlayer").first.text_content() or "")
    page.locator("button.open").first.click()
    page.wait_for_selector("dialog .main-svg")
    assert (seen.said, seen.asked) == ([], [])
    assert page.locator("img").count() == 0
    assert page.locator("a[href^='javascript'], iframe, object, embed").count() == 0
    assert ATTACK in page.locator("dialog pre").first.inner_text()
    assert ATTACK in page.locator("h1 ~ p, .eyebrow").first.inner_text()


def test_the_page_lets_no_foreign_script_run_and_reaches_no_network(
    opened: Open, study: Path
) -> None:
    seen = opened(study)
    page = seen.page
    page.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.body.append(script);
    }""")
    reached = page.evaluate("fetch('http://127.0.0.1:9/').then(() => true, () => false)")
    assert page.evaluate("window.ran === undefined") is True
    assert reached is False
    assert sum("Content Security Policy" in text for text in seen.said) >= 2


def test_colours_are_joined_by_words_and_marks(opened: Open, study: Path) -> None:
    page = opened(study).page
    pills = page.evaluate("""() => [...document.querySelectorAll('#table .pill')].map((n) =>
      [n.textContent.trim(), getComputedStyle(n.querySelector('.mark'), '::before').content])""")
    assert {tuple(pill) for pill in pills} == {
        ("collapsed", '"✕"'),
        ("healthy", '"✓"'),
        ("cannot be judged", '"?"'),
        ("not started", '"○"'),
    }
