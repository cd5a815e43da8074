"""What a node does, one verb a file: watch, admit, accept, infer, answer, settle, transact.

The verbs share nothing but the job table; each takes jobs in one state and leaves them in another.
They speak to the world through `oracle.ports` only, and `node` alone runs them.
"""
