"""A crop dragged over an image, and CLIP changing its mind (Fig. 1)."""

from __future__ import annotations

from app.choices import current_run
from app.parts.own_words import own_words_part
from app.parts.view_lab.page import chosen_image, laboratory
from app.widgets import friendly_errors, page_header, require

run = current_run()
page_header(
    "View lab",
    "How much does what CLIP sees depend on where it looks? Drag the crop and watch.",
    "CLIP compares a picture with the class names and spreads one unit of probability over them. Shift or "
    "enlarge the crop a little and another object comes to the fore: what CLIP says of a whole image is one "
    "view among many. This is why CCD asks again about local views, and keeps each class's strongest answer. "
    "Crops are cut as the run cuts its views.",
    r"p_c(x) = \frac{\exp(\langle f(x), g_c \rangle / \tau)}"
    r"{\sum_{k} \exp(\langle f(x), g_k \rangle / \tau)}, "
    r"\qquad p^{local}_c = \max_v\, p_c(\mathrm{crop}_v(x))",
)
require(run, "global.npz", "global probabilities")
require(run, "checkpoints/best.safetensors", "trained classifier")
with friendly_errors():
    image = chosen_image(run)
    if image is not None:
        laboratory(run, image)
        if image.uploaded:
            own_words_part(image.path, image.name)
