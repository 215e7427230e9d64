"""Published weights: whether they are on this machine, and how they are fetched.

Without a network the Hugging Face hub's client asks again for a minute. So the hub is asked once whether it
answers. If it does not, what lies in the client's cache is used at once.
"""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ccd_core.errors import UserError, first_line
from ccd_core.weights.packages import packaged_weights

log = logging.getLogger("ccd")
HUB_SECONDS = 3.0  # a server that has not answered by then is not there
MODEL_FILES = ("model.safetensors", "pytorch_model.bin")  # of repositories of timm


Answers = Callable[[], bool]


class NotHere(Exception):
    """Weights that are not on this machine, and that a run would fetch from a server that answers."""


@contextmanager
def hub(what: str, asked: bool, fetch: bool = True) -> Iterator[None]:
    """Fetch from the Hugging Face hub inside the block, or fail with one sentence.

    what: the beginning of that sentence ("The weights of CLIP RN50"). asked: whether the hub is needed at
    all. fetch: False to take only what is in the cache; NotHere is raised where it is not, but the hub
    answers.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    offline = before or not fetch or (asked and not hub_answers())
    silence = logging.NullHandler()  # keeps open_clip's messages on the root logger from setting it up
    logging.getLogger().addHandler(silence)
    constants.HF_HUB_OFFLINE = offline
    try:
        yield
    except (UserError, NotHere):
        raise
    except ImportError as error:
        raise UserError(
            f"{what} needs a package that is not installed ({first_line(error)}); run `pip install "
            "transformers`."
        ) from None
    except Exception as error:  # hubs raise many kinds
        log.debug("loading failed", exc_info=True)
        why = first_line(error)
        constants.HF_HUB_OFFLINE = before
        if asked and not fetch and hub_answers():
            raise NotHere(what) from None
        if asked and offline:
            why = f"{constants.ENDPOINT} cannot be reached, and its cache here does not have them"
        raise UserError(
            f"{what} could not be loaded: {why}. Where there is no network, download the file elsewhere and "
            "set clip.pretrained to its path."
        ) from None
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.getLogger().removeHandler(silence)


def hub_answers() -> bool:
    """Whether the Hugging Face hub answers within `HUB_SECONDS`. Never where HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
    except Exception:  # the client's own kinds, which changed between its versions
        return False
    return True


def in_hub_cache(repository: str, file: str) -> bool:
    """Whether a file of the Hugging Face hub was downloaded to this machine before."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, file), str)


def refuse_absent_imagenet(name: str, fetch: bool = True) -> None:
    """Raises UserError, within seconds, where the ImageNet weights of a backbone can not be had.

    name: as in `classifier.backbone`. fetch: False to raise NotHere where they would have to be fetched.
    """
    if packaged_weights(name):
        return
    if name.startswith("timm:"):
        place, there, answers = _of_timm(name.removeprefix("timm:"))
    else:
        place, there, answers = _of_torchvision(name)
    if there:
        return
    if not answers():
        raise UserError(
            f"The ImageNet weights of {name} could not be had: {place} cannot be reached, and its cache here "
            "does not have them. Download them elsewhere and set classifier.weights to the file."
        )
    if not fetch:
        raise NotHere(f"The ImageNet weights of {name}")


def _of_timm(name: str) -> tuple[str, bool, Answers]:
    from huggingface_hub import constants
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(name)
    if published is None or not published.has_weights:
        raise UserError(
            f"timm has no ImageNet weights of {name}; set classifier.weights to a file, or to null for "
            "random ones."
        )
    if published.hf_hub_id:
        names = [published.hf_hub_filename] if published.hf_hub_filename else MODEL_FILES
        there = any(in_hub_cache(published.hf_hub_id, file) for file in names)
        return constants.ENDPOINT, there, hub_answers
    return _of_url(str(published.url))


def _of_torchvision(name: str) -> tuple[str, bool, Answers]:
    import torchvision

    try:
        return _of_url(torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].url)
    except ValueError:  # no such network: whoever builds it says so
        return "", True, lambda: True


def _of_url(url: str) -> tuple[str, bool, Answers]:
    import torch

    server = "/".join(url.split("/")[:3])
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return server, file.is_file(), lambda: _answers(url)


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=HUB_SECONDS).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
    return True
