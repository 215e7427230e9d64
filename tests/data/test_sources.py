"""What is known of the public data sets is what others know of them."""

from __future__ import annotations

from ccd_core.data.sources import SOURCES


def test_published_sizes_and_checksums_are_torchvisions():
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    ours = {
        archive.name: archive.md5 for kind in ("voc2007", "voc2012") for archive in SOURCES[kind].archives
    }
    assert ours == {
        DATASET_YEAR_DICT[key]["filename"]: DATASET_YEAR_DICT[key]["md5"]
        for key in ("2007", "2007-test", "2012")
    }
