"""The errors that a user can cause: one root, `BanachError`, under which every part of the package has its own.

Whatever else is raised (a ValueError of torch, of a plugin, of ours) is a fault of a program, and the command line says
so. What the machine does to a run has classes of its own: `files.DiskFull`, `distributed.Lost`, `NotFinite`.
"""


class BanachError(ValueError):
    """An error that a user can fix; the message names the value and the remedy in one or two lines."""


class DataError(BanachError):
    """Data that cannot be read or used as asked; the message names the value and the remedy."""


class ModelError(BanachError):
    """An impossible shape, width or network; the message names it and the remedy."""
