"""The machine: files written whole, memory, processes, where a figure comes from."""
