"""One or several runs as a single HTML file that can be mailed: figures are SVG, pictures are inside.

This package may import `explore`, `evaluation`, `runs`, `data` and what these import. It loads without torch.
"""

from __future__ import annotations

from ccd_core.report.page import html_report

__all__ = ["html_report"]
