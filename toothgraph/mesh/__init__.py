"""Surfaces: reading, labels, numbering, decimation, synthetic arches. Nothing here imports torch."""
