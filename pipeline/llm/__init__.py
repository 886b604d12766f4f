"""
How one call is made safely: from messages to a text or a filled-in form.

`client.py` looks in the journal, asks through a `connection.py`, and repeats by `retry.py`.
What came back is read piece by piece in `stream.py`, judged in `answers.py` (by rules in
`endpoint_rules.py` and `request_rules.py`), and used in `reading.py`. What an endpoint takes
is kept in `capabilities.py`, what was spent in `ledger.py`; only `transport.py` knows HTTP.
"""
