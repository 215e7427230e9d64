"""Label uploaded images with the chosen run's classifier."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app import loaders
from app.image_component import cam_box_view
from app.widgets import current_run, friendly_errors, require
from ccd_core.data.images import IMAGE_SUFFIXES

MOST = 200

run = current_run()
st.title("Predict")
require(run, "checkpoints/best.safetensors", "trained classifier")
st.caption(f"The classifier of run {run.name} knows: {', '.join(run.classes)}.")
uploads = st.file_uploader("Images", [suffix[1:] for suffix in IMAGE_SUFFIXES], accept_multiple_files=True, max_upload_size=20, key="uploads")
threshold = st.slider("Threshold", 0.0, 1.0, 0.5, 0.01, key="threshold", bind="query-params", help="Classes at or above it are labels.")
if not uploads:
    st.info("Upload one or more images above.")
    st.stop()
if len(uploads) > MOST:
    st.error(f"{len(uploads)} images are too many at once; upload {MOST} at most, or use `ccd predict {run.path} FOLDER --csv labels.csv`.")
    st.stop()

folder = Path(st.session_state.setdefault("upload_folder", tempfile.mkdtemp(prefix="ccd-")))
paths: dict[Path, str] = {}
for number, upload in enumerate(uploads):
    path = folder / f"{number:03d}-{upload.file_id}{Path(upload.name).suffix.lower()}"
    if not path.exists():
        path.write_bytes(upload.getvalue())
    paths[path] = upload.name
with st.spinner("Asking the model; the first time it takes a few seconds to start ..."):
    answer = loaders.predict(run, list(paths))
for path, reason in answer["errors"].items():
    st.error(reason.replace(Path(path).name, paths[Path(path)]))

good = [(path, name, np.array(scores)) for (path, name), scores in zip(paths.items(), answer["scores"], strict=True) if scores is not None]
rows = []
for path, name, scores in good:
    found = [run.classes[i] for i in np.argsort(-scores) if scores[i] >= threshold]
    rows.append({"image": name, "labels": ";".join(found)} | dict(zip(run.classes, scores.tolist(), strict=True)))
    left, right = st.columns([1, 3], vertical_alignment="center")
    left.image(loaders.jpeg(str(path), 320), output_format="JPEG")
    right.markdown(
        f"**{name}**  \n"
        + (" ".join(f":green-badge[{label} {scores[run.classes.index(label)]:.2f}]" for label in found) or "nothing above the threshold")
    )
    right.bar_chart({"class": run.classes, "probability": scores}, x="class", y="probability", height=150)
if rows:
    left, right = st.columns(2)
    left.download_button("CSV", pd.DataFrame(rows).to_csv(index=False), "labels.csv", "text/csv", icon=":material/download:", width="stretch")
    right.download_button("JSON", json.dumps(rows, indent=1), "labels.json", "application/json", icon=":material/download:", width="stretch")
    st.subheader("Why?")
    chosen = st.selectbox("Image", range(len(good)), format_func=lambda i: good[i][1])
    thresholds = [round(0.3 + 0.01 * i, 2) for i in range(70)]
    with friendly_errors():
        path, _, scores = good[chosen]
        explained = loaders.explain(str(run.path), str(path), tuple(thresholds))
        cam_box_view(
            loaders.data_url(path, 760), list(run.classes), explained, thresholds, cls=int(np.argmax(scores)), cam_threshold=run.config.views.cam_threshold,
            view_threshold=threshold, offset=run.config.views.offset, truth=None, key="why",
        )  # fmt: skip
        if explained["clip"]:
            order = np.argsort(-np.array(explained["clip"]))[:3]
            st.caption("CLIP itself, asked about the whole image: " + ", ".join(f"{run.classes[i]} {explained['clip'][i]:.2f}" for i in order))
