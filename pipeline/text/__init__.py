"""What code reads off a text, and makes safe in it."""
