"""Which classes CLIP favours, and what dividing by its bias does (Sec. 3.3, Figs. 2, 9, 10)."""

from __future__ import annotations

from app.choices import current_run
from app.parts.clip_bias import bias_part
from app.widgets import page_header, require

run = current_run()
page_header(
    "CLIP bias",
    "Which classes does CLIP favour, and what does dividing by its bias do?",
    "CLIP gives some classes low probabilities even where they are plainly there, because their names are "
    "ambiguous. The CLIP bias of a class is its mean probability in the images of which CLIP is sure (low "
    "entropy) and where the class comes first. Labels are divided by it.",
    r"b_c = \frac{1}{|S_c|}\sum_{i \in S_c} p_{i,c}, \quad S_c = \{ i : H(p_i) \le T,\ c = \arg\max p_i \}, "
    r"\qquad l^{initial} = \mathrm{clip}\left(\frac{\max(p, \epsilon)}{b}, 0, 1\right)",
)
require(run, "global.npz", "global probabilities")
bias_part(run)
