from __future__ import annotations

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from app.parts.train import data as train_data
from tests.support import NAVIGATION


@pytest.fixture
def app(tiny_run, monkeypatch):
    """`app("labels", alpha="0.3")`: a page on the tiny run, opened by its link, without a browser."""
    monkeypatch.setenv("CCD_RUNS", str(tiny_run.path.parent))
    monkeypatch.delenv("CCD_OPEN_RUN", raising=False)
    config.set_option("server.address", "127.0.0.1")  # as `ccd app` does
    monkeypatch.setattr(train_data, "PATIENCE", 60)  # here nothing comes again by itself

    def open_page(page: str, **query):
        test = AppTest.from_file(NAVIGATION, default_timeout=120)
        test.query_params["run"] = query.pop("run", "tiny")
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
        return test.switch_page(f"../pages/{page}.py").run() if page != "overview" else test

    return open_page
