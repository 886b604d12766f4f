"""
How cards are judged: which questions are asked of whom, and what the answers add up to.

`vote.py` and `pairwise.py` ask one question each, `ballots.py` is what they have in
common, `schemes.py` says which are asked in which round, `panel.py` of whom;
`certainty.py`, `auto.py`, `bradley_terry.py` and `severity.py` are the arithmetic. How
many go at once is not decided here.
"""
