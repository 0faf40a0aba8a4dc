"""The review page as a page that acts, served to this computer alone."""
