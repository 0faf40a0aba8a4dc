"""The systems that the paper compares itself with (table 1, figure 6), one architecture a file.

Each is written from its own paper. Where weights of it are published, modules bear the names that
their state dicts have; ``published`` tells them apart. Every network takes and gives colours in
[0, 1]; what it computes in, it converts to by itself. ``baseline`` makes one of them a network that
is trained, saved and run as our own are.
"""
