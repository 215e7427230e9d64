"""What `streamlit run` starts: the app (app/navigation.py) and, beside it, the images it shows; who may see
them: app/access.py.
"""

from __future__ import annotations

import streamlit as st

from app.access import middleware
from app.routes import ROUTES

app = st.App("navigation.py", routes=ROUTES, middleware=middleware())
