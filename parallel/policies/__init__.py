"""
Small rules over the answers of one server: how many calls at once, how often.

Each is pure: no threads, no clock, no chance; the caller says what time it is.
"""
