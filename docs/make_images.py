"""Make the pictures of README: from the starter model, and from a run of the sample data.

    make demo && python docs/make_images.py --run demo/run

The first is `vaa explain`'s figure of a photo; the second is the top of `vaa evaluate --report`'s
page, which takes Chromium and playwright.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).parent / "images"
WIDTH = 720  # pixels


def vaa(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "vaa_cli", *arguments], check=True)


def small(source: Path, target: Path) -> None:
    """Save a picture with a palette, at most `WIDTH` wide."""
    with Image.open(source) as picture:
        height = round(picture.height * min(1, WIDTH / picture.width))
        scaled = picture.convert("RGB").resize(
            (min(picture.width, WIDTH), height), Image.Resampling.LANCZOS
        )
    scaled.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)


def make_explanation(picture: str, attributes: str, folder: Path) -> None:
    vaa("explain", picture, "--run", "starter", "--attributes", attributes, "--out", str(folder))
    (figure,) = folder.glob("*.png")
    small(figure, IMAGES / "explanation.png")


def make_report(run: str, folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    vaa("evaluate", "--run", run, "--report", str(folder / "report"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 1000})
        page.goto((folder / "report" / "index.html").as_uri())
        page.screenshot(path=str(folder / "report.png"))
        browser.close()
    small(folder / "report.png", IMAGES / "report.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--picture", default="sample_data/photos/0557.jpg")
    parser.add_argument("--attributes", default="sunglasses,jeans,coat")
    arguments = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_explanation(arguments.picture, arguments.attributes, folder / "explained")
        make_report(arguments.run, folder)


if __name__ == "__main__":
    main()
