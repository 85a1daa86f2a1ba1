"""The error of this part."""


class ModelError(ValueError):
    """A shape, width or network that cannot be; the message names it and the remedy."""
