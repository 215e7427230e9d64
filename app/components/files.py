"""How a component gets its HTML, CSS and JavaScript from the files beside its Python."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from app.figures.theme import PALETTE
from ccd_core.predict.overlay import HEAT, HEAT_OPACITY

FOLDER = Path(__file__).parent
SHARED = (FOLDER / "shared.js").read_text(encoding="utf-8")
IMPORTS = re.compile(r'^import \{[^}]*\} from "\.\./shared\.js";\n', re.MULTILINE)

# The palette as CSS variables: `--ccd-blue` and so on.
COLOURS = ":host {\n" + "".join(f"  --ccd-{name}: {value};\n" for name, value in PALETTE.items()) + "}\n"
# What `paintHeat` in shared.js needs.
HEAT_DATA = {"colours": HEAT.tolist(), "opacity": HEAT_OPACITY}


def text_of(name: str, suffix: str) -> str:
    """What the file `name/name.suffix` says."""
    return (FOLDER / name / f"{name}.{suffix}").read_text(encoding="utf-8")


def component(name: str) -> ComponentRenderer:
    """The Streamlit component of the files name.html, name.css and name.js in the folder `name`.

    Streamlit takes one script without imports. So shared.js stands in front of the component's own script,
    whose import of it is there for the linter and for editors only.
    """
    script = IMPORTS.sub("", text_of(name, "js"))
    return st.components.v2.component(
        f"ccd_{name}", html=text_of(name, "html"), css=COLOURS + text_of(name, "css"), js=SHARED + script
    )
