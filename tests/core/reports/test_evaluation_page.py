"""What the report says, and that a browser shows it, alone and at rest."""

import base64
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve

from tests.helpers.pictures import noise
from vaa_cli.core.evaluation.bootstrap import bootstrap
from vaa_cli.core.evaluation.confusions import Confusions
from vaa_cli.core.evaluation.curves import precision_recall, reliability
from vaa_cli.core.evaluation.group_scores import GroupScores
from vaa_cli.core.evaluation.metrics import score
from vaa_cli.core.evaluation.pointing_game import MapScores, PointingResult
from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.prediction.attention import AttentionReader, Explanation, StageAttention
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.reports.evaluation_page import evaluation_page
from vaa_cli.core.reports.examples import (
    Example,
    RenderedExample,
    choose_examples,
    render_examples,
)
from vaa_cli.core.reports.page_content import PageContent

CHROMIUM = shutil.which("chromium")
# As root there is no sandbox; the others keep the browser from looking for its maker's hosts.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200))
def test_curves_are_scikit_learns(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, present = np.round(rng.random(n), 2), rng.random(n) < 0.4
    present[0] = True
    precision, recall, _ = precision_recall_curve(present, scores)
    found = precision_recall(scores, present)
    # Theirs goes the other way, and ends at a point that no threshold has.
    assert found.recall == pytest.approx(recall[:-1][::-1])
    assert found.precision == pytest.approx(precision[:-1][::-1])
    shares = rng.random(n)
    true, predicted = calibration_curve(present, shares, n_bins=15)
    bins = reliability(shares, present)
    assert bins.present == pytest.approx(true) and bins.predicted == pytest.approx(predicted)
    assert bins.counts.sum() == n


def random_predictions(n: int = 80, c: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((n, c)).astype(np.float32), rng.integers(-1, 2, (n, c)).astype(np.int8)


def test_mistakes_are_counted_one_by_one() -> None:
    probabilities, targets = random_predictions()
    limits = np.array([0.5, 0.2, 0.8, 0.5, 0.6])
    found = Confusions.of(probabilities, targets, limits)
    seen = probabilities >= limits
    for i in range(5):
        missed = [row for row in range(80) if targets[row, i] == 1 and not seen[row, i]]
        assert found.missed[i] == len(missed)
        for j in range(5):
            both = sum(bool(targets[row, j] == 0 and seen[row, j]) for row in missed)
            assert found.together[i, j] == both
            assert found.rate[i, j] == pytest.approx(both / len(missed))
            wrongly = sum(bool(targets[row, j] == 0 and seen[row, j]) for row in range(80))
            assert found.lift[i, j] == pytest.approx(both / (len(missed) * wrongly / 80))


def test_examples_are_the_surest_and_the_least_sure() -> None:
    probabilities, targets = random_predictions()
    limits = np.full(5, 0.4)
    examples = choose_examples(probabilities, targets, limits, [3, 0, 2, 2, 1], 2)
    for c, wrong in enumerate([3, 0, 2, 2, 1]):
        kinds = {
            kind: [one.row for one in examples if one.kind == kind and one.attribute == c]
            for kind in ("right", "missed", "wrongly seen", "unsure")
        }
        p, y = probabilities[:, c], targets[:, c]
        rows = range(80)
        right = sorted((r for r in rows if y[r] == 1 and p[r] >= 0.4), key=lambda r: -p[r])
        missed = sorted((r for r in rows if y[r] == 1 and p[r] < 0.4), key=lambda r: p[r])
        wrongly = sorted((r for r in rows if y[r] == 0 and p[r] >= 0.4), key=lambda r: -p[r])
        unsure = sorted((r for r in rows if y[r] != -1), key=lambda r: abs(p[r] - 0.4))
        expected = (right[:2], missed[:wrong], wrongly[:wrong], unsure[:2])
        assert tuple(kinds.values()) == expected


# Names that would break a page that does not treat them as text.
NAMES = ("hat", "bag, large", '<script>alert("x")</script>', "a&b'\"", "été\udcff", "never")


@pytest.fixture(scope="module")
def evaluation() -> PageContent:
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 2, (120, len(NAMES))).astype(np.int8)
    labels[:, -1] = 0
    probabilities = np.clip(rng.normal(0.3 + 0.3 * labels, 0.25), 0, 1).astype(np.float32)
    limits = np.full(len(NAMES), 0.5)
    file = BytesIO()
    Image.fromarray(rng.integers(0, 256, (48, 80, 3), dtype=np.uint8)).save(file, "JPEG")
    source = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return PageContent(
        title="runs/<x> on test",
        about={"model": "runs/x & y", "pictures": 120},
        attributes=NAMES,
        priors=(0.5, 0.1, 0.2, 0.3, 0.4, None),
        stages=(3, 4),
        probabilities=probabilities,
        labels=labels,
        scores=score(probabilities, labels, limits),
        at_half=score(probabilities, labels, 0.5),
        rule=DecisionRule(tuple(limits.tolist())),
        draws=bootstrap([(probabilities, limits)], labels, samples=100)[0],
        epochs=[
            {"epoch": 1, "loss": 9.0, "val_loss": 5.0, "val_mA": 0.5, "val_mAP": 0.2},
            {"epoch": 2, "loss": 7.0, "val_loss": 4.0, "val_mA": 0.6},
        ],
        calibration=[],
        groups=[GroupScores("age <x>", ("young", "(none)"), np.array([[7, 2], [1, 3]]))],
        examples=[
            RenderedExample(Example(kind, row, c), f"images/<{row}>.jpg", source, (80, 48))
            for c in range(len(NAMES))
            for row, kind in enumerate(("right", "missed", "wrongly seen", "unsure"))
        ],
        mistakes="mistakes.csv",
    )


class Page(HTMLParser):
    """Tags that are open, and what a page would fetch."""

    VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "data") and not re.match("data:|#", value or ""):
                self.fetched.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def test_the_page_is_whole_and_needs_nothing_else(evaluation: PageContent) -> None:
    page = Page(evaluation_page(evaluation))
    assert page.open == [] and set(page.fetched) == {"mistakes.csv"}  # a link
    words = " ".join(page.words)
    for name in (*NAMES[:4], "été?"):
        assert name in words
    assert f"{evaluation.scores.totals.mean_accuracy:.3f}" in words
    assert f"{evaluation.scores.average_precision[1]:.3f}" in words


def test_a_run_without_a_log_and_pictures_has_a_page(evaluation: PageContent) -> None:
    bare = replace(evaluation, epochs=[], examples=[], priors=(None,) * len(NAMES))
    page = Page(evaluation_page(bare))
    assert page.open == [] and "log is not beside" in " ".join(page.words)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None and not os.environ.get("VAA_NEEDS_BROWSER"):
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def shown(browser: Any, evaluation: PageContent, tmp_path: Path) -> Iterator[Any]:
    """The page in a browser, on a screen of 1280 x 900; what it complains of is an error."""
    path = tmp_path / "index.html"
    path.write_text(evaluation_page(evaluation), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert [complaint for complaint in complaints if not complaint.startswith("data:")] == [
        path.as_uri()
    ]
    context.close()


def column(page: Any, index: int) -> list[str]:
    cells = page.locator(f"#table tbody tr:visible > :nth-child({index + 1})")
    return [cell.strip() for cell in cells.all_inner_texts()]


def test_columns_are_sorted_by_their_heads(shown: Any, evaluation: PageContent) -> None:
    assert column(shown, 0)[:2] == ["hat", "bag, large"]
    head = shown.locator("#table th", has_text="AP")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    ap = evaluation.scores.average_precision
    order = np.argsort(-np.where(np.isnan(ap), -1, ap), kind="stable")
    found = [cell.split()[0] for cell in column(shown, 2)]
    assert found == [f"{ap[c]:.3f}" if not np.isnan(ap[c]) else "–" for c in order]
    # By the keyboard, too; what has no figure stays last.
    head.locator("button").focus()
    shown.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [cell.split()[0] for cell in column(shown, 2)] == [*found[:-1][::-1], "–"]
    shown.locator("#table th", has_text="attribute").locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    plain = [name for name in column(shown, 0) if name in NAMES and name[0].isalpha()]
    assert plain == sorted(plain) and len(plain) == 4


def test_attributes_are_filtered_by_name(shown: Any) -> None:
    shown.fill("#filter", "BAG")
    assert column(shown, 0) == ["bag, large"]
    assert shown.inner_text("#shown") == f"1 of {len(NAMES)} attributes"
    assert shown.locator("details.attribute:visible").count() == 1
    shown.fill("#filter", "")
    assert len(column(shown, 0)) == len(NAMES)


def test_names_lead_to_their_curves_and_every_picture_loads(shown: Any) -> None:
    last = len(NAMES) - 1  # without a positive, it is not among the worst
    assert not shown.locator(f"#attribute-{last} img").first.is_visible()
    shown.click(f"#table a[href='#attribute-{last}']")
    assert shown.locator(f"#attribute-{last} img").first.is_visible()
    shown.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    shown.wait_for_function("[...document.images].every(image => image.complete)")
    sizes = shown.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert sizes == [80] * 4 * len(NAMES)


def test_the_worst_attributes_are_open_with_their_mistakes_first(
    shown: Any, evaluation: PageContent
) -> None:
    blocks = shown.locator("details.attribute[open]")
    accuracy = evaluation.scores.mean_accuracy
    order = sorted(range(len(NAMES) - 1), key=lambda c: accuracy[c])
    assert blocks.evaluate_all("all => all.map(one => one.id)") == [f"attribute-{c}" for c in order]
    assert blocks.first.bounding_box()["y"] < shown.locator("#table").bounding_box()["y"]
    assert blocks.first.locator("h4").all_inner_texts()[0] == "surest wrong: missed"
    example = blocks.first.locator("figure").first
    # Row 1 stands for what was missed; its label and the decision are random.
    c = order[0]
    decision = "present" if evaluation.probabilities[1, c] >= 0.5 else "absent"
    label = {1: "present", 0: "absent", -1: "unspecified"}[int(evaluation.labels[1, c])]
    caption = example.inner_text()
    assert "images/<1>.jpg" in caption
    assert caption.endswith(f"→ {decision}; label: {label}")


def test_pictures_are_enlarged_on_a_click_and_by_keys(shown: Any) -> None:
    buttons = shown.locator("details[open] .enlarge")
    small = buttons.first.locator("img").bounding_box()["height"]
    buttons.first.click()
    dialog = shown.locator("dialog")
    assert dialog.locator("img").bounding_box()["height"] > 2 * small
    assert "images/<1>.jpg" in dialog.inner_text()
    shown.keyboard.press("ArrowRight")
    assert "images/<2>.jpg" in dialog.inner_text()
    shown.keyboard.press("ArrowLeft")
    shown.keyboard.press("ArrowLeft")  # there is none before the first
    assert "images/<1>.jpg" in dialog.inner_text()
    shown.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert shown.evaluate("document.activeElement.className") == "enlarge"


def test_regions_are_on_the_page(evaluation: PageContent) -> None:
    count = len(NAMES)
    regions = np.array([4, 0, 1, 0, 0, 0])
    maps = MapScores(np.full(count, 0.75), np.full(count, 0.125))
    guess = MapScores(np.full(count, 0.25), np.full(count, 0.0625))
    pointing = PointingResult(regions, {"stage 3": maps}, guess, guess)
    words = " ".join(Page(evaluation_page(replace(evaluation, pointing=pointing))).words)
    assert "Pointing game" not in " ".join(Page(evaluation_page(evaluation)).words)
    assert "Pointing game" in words
    # Two attributes and their mean, in two tables.
    assert [words.count(figure) for figure in ("0.750", "0.125", "0.250", "0.062")] == [3, 3, 6, 6]


def test_pictures_take_no_more_than_they_may(tmp_path: Path) -> None:
    for row in range(4):
        noise(200, 300, seed=row).save(tmp_path / f"{row}.png")
    table = LabelTable(
        tmp_path, [f"{row}.png" for row in range(4)], ("hat",), np.ones((4, 1), np.int8)
    )
    examples = [Example("missed", row, 0) for row in range(4)]
    heat = np.eye(3, dtype=np.float32)[None]
    for most in (1_000_000, 40_000):
        rendered = render_examples(
            examples, cast(AttentionReader, FakeReader(heat)), table, 224, most
        )
        assert sum(len(one.source) for one in rendered) <= most
        assert [one.name for one in rendered] == table.row_images
        # What stands on the page is of one size, whatever it was drawn with.
        assert {one.size for one in rendered} == {(2 * 149 + 2, 224)}
    with Image.open(BytesIO(base64.b64decode(rendered[0].source.split(",")[1]))) as picture:
        assert picture.height < 224


class FakeReader:
    """Gives every picture the same map of one stage."""

    def __init__(self, heat: np.ndarray) -> None:
        self.card = SimpleNamespace(box_margin=0.0)
        self._heat = heat

    def read(self, requests: Iterator[Request]) -> Iterator[Explanation]:
        maps = StageAttention(self._heat, np.ones_like(self._heat))
        for request in requests:
            yield Explanation(Prediction(request, np.array([0.5], np.float32)), {3: maps})


def test_no_screen_is_too_narrow_and_none_too_dark(shown: Any) -> None:
    for width in (1280, 390):
        shown.set_viewport_size({"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
    colours = []
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)
        colours.append(shown.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_all_is_open_on_paper(shown: Any) -> None:
    shown.emulate_media(media="print")
    assert not shown.locator("#filter").is_visible()
    opened = shown.locator("details[open]").count()
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.locator("details:not([open])").count() == 0
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.locator("details[open]").count() == opened < shown.locator("details").count()


def test_controls_have_names(shown: Any) -> None:
    unnamed = shown.evaluate(
        """[...document.querySelectorAll("button, input, img, svg, [role=region]")]
        .filter(one => !(one.ariaLabel || one.alt || one.textContent.trim()
            || one.querySelector("img[alt]")
            || (one.labels && one.labels.length))).map(one => one.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
