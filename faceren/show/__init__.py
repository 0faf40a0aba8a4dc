"""How the commands show their results: lines and tables on stderr, JSON on stdout."""
