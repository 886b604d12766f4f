"""How each stage asks a model with a small context: briefly, and for numbers."""
