"""MATLAB files of all versions, and the values that datasets keep in them."""
