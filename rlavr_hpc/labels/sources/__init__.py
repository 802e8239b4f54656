"""The program's own label sources, a file each."""
