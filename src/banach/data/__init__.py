"""Data sets in memory or in a mapped file: images, arrays and points, their units, their batches, pictures of them."""

from banach.data import bundled, named, pictures, toys
from banach.data.dataset import DATASETS, Data, Raw, split_off
from banach.data.load import load, read
from banach.data.named import data_root, download
from banach.data.rows import Rows
from banach.data.sampler import Sampler, augment
from banach.data.units import Units, fit_units
from banach.errors import DataError

__all__ = [
    "DATASETS",
    "Data",
    "DataError",
    "Raw",
    "Rows",
    "Sampler",
    "Units",
    "augment",
    "bundled",
    "data_root",
    "download",
    "fit_units",
    "load",
    "named",
    "pictures",
    "read",
    "split_off",
    "toys",
]
