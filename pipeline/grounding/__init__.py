"""
Where an article has it from: every figure, quotation and phrase led back to a source.

`pages.py` and `shelf.py` make texts searchable, `provenance.py` traces, `findings.py`
says what a writer must mend, `passages.py` shows the writer what the blueprint names,
`contributions.py` counts whose words were taken. It asks no model.
"""
