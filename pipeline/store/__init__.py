"""What is kept: run folder, whole files, journal."""
