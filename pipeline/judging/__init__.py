"""
How cards are judged: which questions are asked of whom, and what the answers add up to.

`vote.py` and `pairwise.py` are one question each, `asking.py` puts both to a judge, and
a round of them is made of `ballots.py`; `schemes.py` says which are asked in which round, `panel.py` of whom;
`certainty.py`, `auto.py`, `bradley_terry.py` and `severity.py` are the arithmetic. How
many go at once is not decided here.
"""
