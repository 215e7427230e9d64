"""The predictor alone, as a Gradio page with an API: `ccd gradio RUN`, or a Hugging Face Space.

On a Space (`ccd space` writes one) this file runs as it is, with `ccd_core/` and a run's folder named `run`
beside `app/`; $CCD_RUN names another folder. Thresholds that are saved with the run are read at every
question, so new ones need no restart. Images in `RUN/examples` are offered as examples, else some of the
run's own where its data set is on this machine.
"""

# ruff: noqa: E402
from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # a Space runs this file without installing the project
    sys.path.insert(0, str(ROOT))

if not os.environ.get("GRADIO_TEMP_DIR"):
    # Gradio's own folder belongs to whoever came first on this machine. It is read when Gradio is imported.
    UPLOADS = tempfile.TemporaryDirectory(prefix="ccd-gradio-")  # mode 0700; it goes with this process
    os.environ["GRADIO_TEMP_DIR"] = UPLOADS.name
os.makedirs(os.environ["GRADIO_TEMP_DIR"], mode=0o700, exist_ok=True)

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware

from app.gradio_inputs import image_input, threshold_input, truth_of
from app.hosts import HostCheck
from ccd_core.data import open_dataset
from ccd_core.data.decoding.images import image_size
from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.machine.host_names import given_names, own_names
from ccd_core.paths import demo_root
from ccd_core.predict.overlay import overlay, picture
from ccd_core.predict.predictor import Predictor
from ccd_core.runs.files.shared_files import shipped_examples
from ccd_core.runs.known_paths import unknown_paths
from ccd_core.runs.run import Run

MOST_OVERLAYS = 12
LONGER_SIDE = 640  # pixels of the overlays
# One overlay alone would be cut off in Gradio's own grid.
TILES = (
    "#overlays .grid-container "
    "{grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)) !important}"
)
HOUR = 3600  # seconds between sweeps of uploaded files, and their age when they go


@contextmanager
def sentences_shown() -> Iterator[None]:
    """What the user can put right is said on the page and in the API's answer."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


class Answers:
    """What the page and the API ask of one run."""

    def __init__(self, path: Path, device: str = "auto"):
        self.run = Run.open(path)
        self.predictor = Predictor(self.run, device)

    @property
    def saved(self) -> thresholds.Thresholds | None:
        """The thresholds that are saved with the run now."""
        return thresholds.of_run(self.run)

    def predict(
        self, image: str | None, threshold: float, use_saved: bool
    ) -> tuple[dict[str, float], list[tuple[Image.Image, str]], dict[str, Any]]:
        """Scores of all classes, overlays, and both as one record.

        The record is {"labels": [{label, score, threshold, box}, ...], "scores": {...}, "size": [w, h]};
        boxes are [x0, y0, x1, y1] in pixels of the upright image.
        """
        if not image:
            raise gr.Error("Choose an image first.", print_exception=False)
        if not 0 <= threshold <= 1:
            raise gr.Error("The threshold is a number from 0 to 1.", print_exception=False)
        answer = self.predictor.predict([image])[0]
        if answer.scores is None:
            raise gr.Error(answer.error or "The image cannot be read.", print_exception=False)
        classes = self.run.classes
        with sentences_shown():
            saved = self.saved if truth_of(use_saved) else None
            limits = saved or thresholds.Thresholds.same(classes, threshold)
        labels = limits.labels(classes, answer.scores)
        chosen = [classes.index(label) for label in labels]
        # CLIP may be a gigabyte that a Space does not have.
        seen = self.predictor.attend(image, chosen, clip=False)
        width, height = image_size(image)
        small = picture(image, LONGER_SIDE)
        overlays: list[tuple[Image.Image, str]] = []
        rows = []
        for label, cam, box in zip(labels, seen["cam"], seen["boxes"], strict=True):
            score = float(answer.scores[classes.index(label)])
            pixels = box and [round(side * size) for side, size in zip(box, (width, height) * 2, strict=True)]
            rows.append(
                {
                    "label": label,
                    "score": round(score, 5),
                    "threshold": round(limits.values.get(label, 0.5), 5),
                    "box": pixels,
                }
            )
            if len(overlays) < MOST_OVERLAYS:
                overlays.append((overlay(small, cam, box), f"{label} {score:.2f}"))
        scores = dict(zip(classes, map(float, answer.scores), strict=True))
        details = {
            "labels": rows,
            "scores": {name: round(value, 5) for name, value in scores.items()},
            "size": [width, height],
        }
        return scores, overlays, details

    def examples(self, count: int = 6) -> list[str]:
        """Images to try: those shipped with the run, else some of its own where they are on this machine."""
        shipped = shipped_examples(self.run.path)
        if shipped is not None:
            return [str(path) for path in shipped][:count]
        spec = self.run.config.data.spec
        if spec == "demo" and not demo_root().is_dir():
            return []  # not worth drawing 2,000 scenes for
        if unknown_paths(self.run.config, [self.run.path]):
            return []  # a run of somebody else does not choose whose images everybody is shown
        try:
            splits = open_dataset(spec, self.run.config.data.classes).splits
        except UserError:
            return []
        paths = splits.get("val", splits["train"]).paths
        return [str(path) for path in paths[:: max(1, len(paths) // count)][:count]]


def saved_choice(answers: Answers) -> gr.Checkbox:
    """Whether to label by the thresholds saved with the run, and which those are."""
    saved = answers.saved
    said = (
        f"Saved: {saved.in_words}."
        if saved
        else "None are saved yet; the page Results of `ccd app` makes some."
    )
    return gr.Checkbox(
        saved is not None, label="Use the run's saved thresholds", info=said, interactive=saved is not None
    )


def build(answers: Answers) -> gr.Blocks:
    run = answers.run
    examples = answers.examples()
    with gr.Blocks(title=f"CCD: {run.name}", analytics_enabled=False, delete_cache=(HOUR, HOUR)) as page:
        gr.Markdown(
            f"# What is in the picture?\nA multi-label classifier of {len(run.classes)} classes, trained "
            f"without labels (CCD, CVPR 2025): {', '.join(run.classes[:30])}"
            f"{' ...' if len(run.classes) > 30 else ''}."
        )
        with gr.Row():
            with gr.Column(scale=2):
                image = image_input(
                    examples, label="Image", sources=["upload", "clipboard", "webcam"], height=360
                )
                threshold = threshold_input(
                    label="Threshold",
                    info="A class scored at or above it is a label.",
                    interactive=True,
                )
                use_saved = saved_choice(answers)
                button = gr.Button("Label it", variant="primary")
            with gr.Column(scale=3):
                overlays = gr.Gallery(
                    label="Labels and why",
                    elem_id="overlays",
                    height=400,
                    object_fit="contain",
                    format="jpeg",
                )
                gr.Markdown(
                    "Heat: what in the picture speaks for the label (its class activation map). Frame: the "
                    "part above half of the map's range."
                )
                scores = gr.Label(label="Scores", num_top_classes=8, show_heading=False)
        with gr.Accordion(
            "JSON, as the API gives it; boxes are [x0, y0, x1, y1] in pixels of the image", open=False
        ):
            details = gr.JSON(label="Details", open=True)
        asked: dict[str, Any] = {
            "inputs": [image, threshold, use_saved],
            "outputs": [scores, overlays, details],
            "concurrency_id": "model",
            "concurrency_limit": 1,
        }
        page.load(
            sentences_shown()(partial(saved_choice, answers)), None, use_saved, api_visibility="private"
        )
        button.click(answers.predict, **asked, api_name="predict")
        image.upload(answers.predict, **asked, api_visibility="private")
        threshold.release(_only_with_image(answers), **asked, api_visibility="private")
        use_saved.input(_only_with_image(answers), **asked, api_visibility="private")
        if examples:
            shown = gr.Examples(
                [[path] for path in examples], [image], cache_examples=False, api_visibility="private"
            )
            shown.load_input_event.then(answers.predict, **asked, api_visibility="private")
    return page.queue(max_size=32)


def _only_with_image(answers: Answers):
    """A moved threshold labels the image that is there; without one there is nothing to complain of."""
    return lambda image, threshold, use_saved: (
        answers.predict(image, threshold, use_saved) if image else (None, None, None)
    )


def checks() -> list[Middleware]:
    """What stands before the page and its API: the check of names, as in the browser app.

    A Space and a public link (--share) are reached by names that are not known here.
    """
    if os.environ.get("SPACE_ID") or os.environ.get("GRADIO_SHARE", "").lower() == "true":
        return []
    own = own_names(os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1")
    return [Middleware(HostCheck, own=own, named=given_names())]


def main() -> None:
    try:
        page = build(
            Answers(Path(os.environ.get("CCD_RUN") or ROOT / "run"), os.environ.get("CCD_DEVICE", "auto"))
        )
    except UserError as error:
        sys.exit(f"Error: {error}")
    # SIGTERM is then as Ctrl-C: the server ends in order and removes what was uploaded.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    page.launch(
        max_file_size="20mb",
        show_error=True,
        run_history=False,
        footer_links=["api"],
        theme=gr.themes.Soft(primary_hue="blue"),
        css=TILES,
        app_kwargs={"middleware": checks()},
    )


if __name__ == "__main__":
    main()
