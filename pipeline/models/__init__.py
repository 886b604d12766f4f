"""Which model is asked, where it is, and what it costs."""
