"""The wording of what is asked, and how data stands in it."""
