"""Clean triangle meshes, their topology and decimation. Without torch and without files."""
