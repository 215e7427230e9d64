"""Whether a CLIP can be had and takes the sizes of a run: found out in seconds, and nothing is fetched."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ccd_core.clip import photo_words
from ccd_core.clip.patches import refuse_without_patches
from ccd_core.clip.teacher import place_of
from ccd_core.clip.towers import FixedTower, any_size
from ccd_core.clip.weights import look_at_network
from ccd_core.errors import UserError
from ccd_core.settings.prompts import prompts_of
from ccd_core.settings.sections import ClipSettings
from ccd_core.weights.hub import NotHere

log = logging.getLogger("ccd")


def check_teacher(
    settings: ClipSettings, classes: Sequence[str], views: bool = True, patches: bool = False
) -> list[str]:
    """What is to be known before a run with this CLIP begins, as sentences.

    classes: the run's C classes. views: whether the run asks about local views, and patches: about features
    of patches. A file of weights is compared with its network. Raises UserError, one sentence, where the
    model or its weights cannot be had, the tower does not take images of `settings.size` or has no patches,
    or a prompt is wrong.
    """
    prompts_of(classes, settings.prompt, settings.names)
    if settings.model == photo_words.NAME:
        photo_words.refuse_unknown(prompts_of(classes, "{}", settings.names))
        photo_words.photo_network()
        return [f"{photo_words.NAME} is not CLIP: it knows the nouns of ImageNet's 1,000 classes."]
    name, pretrained = place_of(settings.model, settings.pretrained)
    try:
        network, here = look_at_network(name, pretrained)
    except NotHere as absent:
        return [f"{absent} are fetched when the run begins."]
    notes = [] if here else [f"The weights of CLIP {name} ({pretrained}) are fetched when the run begins."]
    if settings.probabilities == "sigmoid" and getattr(network, "logit_bias", None) is None:
        raise UserError(
            f"CLIP {name} was trained with a softmax and has no bias; clip.probabilities=sigmoid needs a "
            "SigLIP model."
        )
    tower = any_size(network.visual)
    if patches:
        refuse_without_patches(tower)
    if isinstance(tower, FixedTower):
        if tower.native_size != (settings.size, settings.size):
            raise UserError(tower.refusal(settings.size, settings.size))
        if views:
            own = "x".join(map(str, tower.native_size))
            notes.append(
                f"CLIP's image tower {tower.kind} takes {own} images only, so local views are squeezed to it."
            )
    return notes
