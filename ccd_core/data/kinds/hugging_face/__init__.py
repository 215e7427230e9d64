"""Data sets of Hugging Face's library `datasets` on the disk. `dataset` opens one."""
