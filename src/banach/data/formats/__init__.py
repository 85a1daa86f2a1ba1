"""Files of scientists: NetCDF, Zarr, HDF5, TIFF, CSV and parquet, AnnData. Each is read by the library of its format,
which is imported when such a file is opened, and samples are written by it."""
