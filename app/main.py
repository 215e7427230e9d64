"""What `streamlit run` starts: the app (navigation.py) and, beside it, the images that it shows.

Who may see them is checked before: access.py, hosts.py and upload_quota.py.
"""

from __future__ import annotations

import streamlit as st

from app.access import middleware
from app.routes import routes
from app.sessions import forgetting

app = st.App(
    "navigation.py",
    routes=routes(st.get_option("server.baseUrlPath")),
    middleware=middleware(),
    lifespan=forgetting,
)
