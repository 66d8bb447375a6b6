"""Figures of predictions: metrics, calibration, intervals, comparison, localisation."""
