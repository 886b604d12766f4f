"""What the user says and sees."""
