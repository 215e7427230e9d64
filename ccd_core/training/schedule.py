"""How long, how fast and how much of the network a run trains, from the number of its images (Sec. 4.1).

The paper counts epochs. On its data sets, two of them are 700 to 19,000 steps. On 1,000 images two epochs
are 125 steps: the classifier then knows little, its class maps are flat, and the boxes of flat maps are
arbitrary. So a run may also ask for a number of steps, which a small data set reaches with more epochs. And
a backbone that learns from few images learns the errors of their pseudo-labels, too: it may stay as it is.
"""

from __future__ import annotations

import logging
import math

from ccd_core.config import CCDConfig

log = logging.getLogger("ccd")
FASTEST = 10.0  # a learning rate is raised to so many times its value at most


def fitted(config: CCDConfig, images: int, tell: bool = False) -> CCDConfig:
    """The settings with the epochs, the learning rate and the frozen layers that `images` images call for.

    With s = ceil(images / batch size) steps an epoch, the warm-up has max(warmup_epochs, warmup_steps / s)
    epochs and the main phase max(epochs - warmup_epochs, main_steps / s), both rounded up. If `rate_steps` is
    set, the learning rate is multiplied by rate_steps / (steps in all), but by no less than 1 and no more
    than `FASTEST`: Adam's steps have a length of about the learning rate, so a run of fewer steps must make
    longer ones to come as far. With fewer images than `frozen_below` the head alone learns, at its own rate:
    a head needs no longer steps. Without these settings nothing changes. tell: whether the log says what was
    chosen.
    """
    classifier = config.classifier
    if images < classifier.frozen_below and classifier.frozen < 1:
        if tell:
            log.info(
                "%d images are fewer than classifier.frozen_below=%d, so only the classifier's head learns",
                *(images, classifier.frozen_below),
            )
        config = config.changed(classifier={"frozen": 1.0})
    training = config.training
    steps = max(1, math.ceil(images / training.batch_size))
    warm_up = max(training.warmup_epochs, math.ceil(training.warmup_steps / steps))
    main = max(training.epochs - training.warmup_epochs, math.ceil(training.main_steps / steps))
    rate = training.learning_rate
    if training.rate_steps is not None and config.classifier.frozen < 1:
        rate *= min(FASTEST, max(1.0, training.rate_steps / (steps * (warm_up + main))))
    new = {"warmup_epochs": warm_up, "epochs": max(warm_up + main, 1), "learning_rate": rate}
    if all(getattr(training, name) == value for name, value in new.items()):
        return config
    if tell:
        log.info(
            "%d images are %d steps an epoch: %d epochs of warm-up and %d after it, learning rate %.2g",
            *(images, steps, warm_up, main, rate),
        )
    return config.changed(training=new)
