"""What concerns the machine: atomic files, memory, processes, and the origin of a figure."""
