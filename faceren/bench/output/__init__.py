"""What a benchmark leaves: the report as files, its page, its pictures, and what changed."""
