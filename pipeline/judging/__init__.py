"""
How cards are judged: which questions are asked of whom, and what the answers add up to.

`ballots.py` is one question and its answer, `schemes.py` says which are asked in which
round, `panel.py` by whom; `certainty.py`, `auto.py`, `bradley_terry.py` and
`severity.py` are the arithmetic. How many go at once is not decided here.
"""
