"""Dental knowledge: the coordinate frame of an arch, sizes of teeth, colours."""
