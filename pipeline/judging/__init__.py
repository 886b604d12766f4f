"""
How cards are judged: which questions are asked of whom, and what the answers add up to.

A question is a `vote.py` or a `comparison.py`; `schemes.py` says which are asked in
which round, `panel.py` of whom, `by_votes.py` and `by_comparisons.py` what they add up
to, `certainty.py` how sure that is and who gets more. How many go at once is not decided
here.
"""
