"""Training settings of the authors of each method: `method.recipe=own`, beside the common recipe.

Sources are the methods' public code. `docs/methods.md` says what a code does and this project does not: the
backbone, the size and how an image is resized are the run's, and rate and batch are not searched for on a
clean validation split. The kept epoch is the last one, because every original chooses by labels. Epochs are
counted as they are, whatever the number of images.
"""

from __future__ import annotations

from typing import Any

LAST = {"keep": "last", "warmup_steps": 0, "main_steps": 0, "rate_steps": None}
ADAM = {"optimizer": "adam", "learning_rate": 1e-5, "schedule": "constant", "weight_decay": 0.0}
# Cole et al. search rate and batch size on a clean split; 1e-5 is the rate of the paper that we reproduce.
COLE = {"epochs": 10, "batch_size": 16, "head_factor": 1.0, **ADAM, **LAST}
# SST and SARB: 20 epochs of Adam with decay, and a tenth of the rate after half of them. A crop's side is one
# of 512, 448, 384, 320 and 256 of 512 pixels. Only layer4 of the backbone learns.
SEMANTIC = {
    "epochs": 20,
    "batch_size": 8,
    "head_factor": 1.0,
    **ADAM,
    "weight_decay": 5e-4,
    "schedule": "step",
    "crop": 0.5,
    **LAST,
}
LL_R = {"epochs": 10, "batch_size": 16, "head_factor": 10.0, **ADAM, **LAST}

# {method: {kind of data set, or "" for any other: training settings}}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "bce": {"": COLE},
    "bce_ls": {"": COLE},
    "asl": {
        "": {
            "epochs": 40,
            "batch_size": 128,
            "head_factor": 1.0,
            "optimizer": "adamw",
            "learning_rate": 1e-4,
            "weight_decay": 1e-4,
            "decay": "matrices",
            "schedule": "one_cycle",
            "schedule_epochs": 80,  # of which 40 are trained
            "average": 0.9997,
            "rand_augment": 2,
            "cutout": 0.5,
            **LAST,
        }
    },
    "sst": {"": SEMANTIC},
    "sarb": {"": SEMANTIC},
    "ll_r": {
        "": LL_R,
        "voc2007": LL_R | {"optimizer": "sgd", "learning_rate": 5e-3, "weight_decay": 1e-3},
        "voc2012": LL_R | {"optimizer": "sgd", "learning_rate": 5e-3, "weight_decay": 1e-3},
    },
    "g2netpl": {"": COLE},
    "an": {"": COLE},
    "an_ls": {"": COLE | {"learning_rate": 1e-4, "batch_size": 8}},
    "wan": {"": COLE},
    "partial_bce": {
        "": {
            "epochs": 20,
            "batch_size": 16,
            "head_factor": 1.0,
            "optimizer": "sgd",
            "learning_rate": 1e-2,
            "weight_decay": 0.0,
            "schedule": "constant",
            **LAST,
        }
    },
    "role": {"": COLE},
    "cdul": {
        "": {"epochs": 20, "batch_size": 16, "head_factor": 1.0, **ADAM, **LAST},
        "voc2007": {"epochs": 20, "batch_size": 8, "head_factor": 1.0, **ADAM, **LAST},
        "voc2012": {"epochs": 20, "batch_size": 8, "head_factor": 1.0, **ADAM, **LAST},
    },
}

OWN["cdul_patch"] = OWN["cdul"]


def own_recipe(method: str, dataset_kind: str) -> dict[str, Any]:
    """{section: settings} of the method's authors; {} for CCD, whose recipe the presets have."""
    recipes = OWN.get(method, {})
    training = recipes.get(dataset_kind, recipes.get(""))
    if not training:
        return {}
    learns = "last_stage" if method in ("sst", "sarb") else "all"
    return {"training": dict(training), "classifier": {"learns": learns, "frozen_below": 0}}
