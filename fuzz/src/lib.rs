//! Bodies of the fuzz targets, as plain functions.
