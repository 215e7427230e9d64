"""Where the classifier sends CLIP to look again: maps, CAM boxes and local views (Sec. 3.2, Fig. 11)."""

from __future__ import annotations

from app.choices import current_run, pick_image
from app.parts.cam_boxes.filters import GRID, filters, grid_part, nothing_fits
from app.parts.cam_boxes.panels import image_panel, methods_panel, views_panel
from app.reading.images import image_path
from app.reading.runs import image_ids
from app.widgets import friendly_errors, page_header, require

run = current_run()
page_header(
    "CAM boxes",
    "Where in an image does CLIP look again, and what does it see there?",
    "The class activation map says which pixels speak for a class. The box around its brightest part, grown "
    "by the offset, is a local view: CLIP is asked again, about this part of the image only. Classes above "
    "the view threshold get one; the run itself chose its views after warm-up.",
    r"G_c(x) = \sum_{i=1}^{Q} w_i^{c\top} g_i(x), \qquad p_c^{local} = \max_{i} p_{i,c}^{patch}",
)
require(run, "views.parquet", "local views")
require(run, "labels.npz", "labels")
filtered = filters(run)
if filtered.layout == GRID:
    grid_part(run, filtered)
else:
    image = pick_image(filtered.ids, image_ids(run)[1])
    if image is None:
        nothing_fits()
    with friendly_errors():
        path = image_path(run, image)
        chosen, answer = image_panel(run, image, path, filtered.cls)
        views_panel(run, image, path, chosen, answer)
        methods_panel(run, image, path, chosen)
