"""Every rerun begins here: navigation and the run picker."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.choices import pick_run
from app.parts.unknown_paths import ask_about_paths
from app.widgets import friendly_errors

LOGO = Path(__file__).with_name("logo.svg")

st.set_page_config(page_title="CCD", page_icon=str(LOGO), layout="wide")
st.logo(str(LOGO), size="large")
st.html(Path(__file__).with_name("style.css"))
page = st.navigation(
    [
        st.Page("../pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("../pages/clip_bias.py", title="CLIP bias", icon=":material/balance:"),
        st.Page("../pages/cam_boxes.py", title="CAM boxes", icon=":material/select:"),
        st.Page("../pages/labels.py", title="Labels", icon=":material/label:"),
        st.Page("../pages/view_lab.py", title="View lab", icon=":material/crop:"),
        st.Page("../pages/results.py", title="Results", icon=":material/bar_chart:"),
        st.Page("../pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("../pages/predict.py", title="Predict", icon=":material/image_search:"),
        st.Page("../pages/train.py", title="Train", icon=":material/model_training:"),
    ]
)
with friendly_errors():
    pick_run()
    ask_about_paths()
with friendly_errors():
    page.run()
