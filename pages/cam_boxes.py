"""Where the classifier sends CLIP to look again: maps, CAM boxes and local views, image by image (Sec. 3.2, Fig. 11)."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import loaders
from app.image_component import cam_box_view
from app.widgets import current_run, friendly_errors, page_header, pick_image, require
from ccd_core.data.images import image_size

THRESHOLDS = [round(0.3 + 0.01 * i, 2) for i in range(70)]

run = current_run()
page_header(
    "CAM boxes",
    "Where in an image does CLIP look again, and what does it see there?",
    "The class activation map says which pixels speak for a class. The box around its brightest part, grown by the offset, is a local view: CLIP is asked again, about this part "
    "of the image only. Classes above the view threshold get one. The maps on this page are the finished classifier's; the run itself took its views after warm-up (table below).",
    r"G_c(x) = \sum_{i=1}^{Q} w_i^{c\top} g_i(x), \qquad p_c^{local} = \max_{i} p_{i,c}^{patch}",
)
require(run, "views.parquet", "local views")
views, ids = loaders.views(run), loaders.label_arrays(run)["ids"]

left, right = st.columns(2)
chosen = left.selectbox("Images with a view of", ["any class", *run.classes], key="class", bind="query-params")
counts = views["image"].value_counts()
least = right.slider("Views of the image, at least", 0, int(counts.max()) if len(counts) else 1, 0, key="least_views")
wanted = set(views.loc[views["class"] == chosen, "image"]) if chosen in run.classes else set(ids.tolist())
shown = [name for name in ids.tolist() if name in wanted and counts.get(name, 0) >= least]
if not shown:
    st.info("No image fits these filters.")
    st.stop()
single, grid = st.tabs(["One image", "Grid"])
with single:
    image = pick_image(shown)
    mine = views[views["image"] == image]
    with friendly_errors():
        path = loaders.image_path(run, image)
        answer = loaders.explain(str(run.path), str(path), tuple(THRESHOLDS))
        truth = loaders.ground_truth(run)
        boxes = None
        if truth is not None and image in truth.ids:
            width, height = image_size(path)
            scale = np.array([answer["frame"] / width, answer["frame"] / height] * 2)
            boxes = [{"cls": c, "box": (np.array(box) * scale).tolist()} for c, box in truth.boxes[truth.ids.index(image)]]
        cam_box_view(
            loaders.data_url(path, 760),
            list(run.classes),
            answer,
            THRESHOLDS,
            cls=run.classes.index(chosen) if chosen in run.classes else int(np.argmax(answer["scores"])),
            cam_threshold=run.config.views.cam_threshold,
            view_threshold=run.load_json("view_threshold.json")["threshold"],
            offset=run.config.views.offset,
            truth=boxes,
            key="cam_view",
        )
    st.subheader(f"The {len(mine)} views that the run took of {image}")
    rows = []
    for view in mine.itertuples():
        probabilities = loaders.view_probabilities(run)[view.Index]
        order = np.argsort(-probabilities)[:3]
        rows.append(
            {
                "view of": view[2],
                "score after warm-up": view.score,
                "CLIP sees": ", ".join(f"{run.classes[i]} {probabilities[i]:.2f}" for i in order),
                "probability of the class": float(probabilities[run.classes.index(view[2])]),
                "CAM box": f"{view.cam_x0}, {view.cam_y0} to {view.cam_x1}, {view.cam_y1}",
            }
        )
    progress = st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="%.2f")
    st.dataframe(rows, hide_index=True, column_config={"score after warm-up": progress, "probability of the class": progress})
with grid:
    pages = st.pagination(max(1, -(-len(shown) // 24)), key="page", bind="query-params")
    for place, name in enumerate(shown[24 * (pages - 1) : 24 * pages]):
        if place % 6 == 0:
            columns = st.columns(6)
        with columns[place % 6], friendly_errors():
            st.image(
                loaders.jpeg(str(loaders.image_path(run, name)), 240),
                caption=f"{shown.index(name) + 1} · {counts.get(name, 0)} views",
                output_format="JPEG",
            )
