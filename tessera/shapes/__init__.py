"""Geometry: pure algorithms on arrays, which know nothing of kinds, classes or earners."""
