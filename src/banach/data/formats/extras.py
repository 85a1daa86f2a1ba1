"""What is said where the library of a format is not installed."""

from banach.errors import DataError


def lacking(what: str, library: str, extra: str) -> DataError:
    """The error where a format's library is missing.

    >>> str(lacking("NetCDF files", "xarray", "netcdf"))
    "NetCDF files need xarray, which is not installed; pip install 'banach[netcdf]'"
    """
    return DataError(f"{what} need {library}, which is not installed; pip install 'banach[{extra}]'")
