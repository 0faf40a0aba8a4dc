"""How good: clean faces are degraded, restored by every method, and scored."""
