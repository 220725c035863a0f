"""Reductions over neighbourhoods and pairs, in the fastest implementation for a device."""
