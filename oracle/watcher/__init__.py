"""The watcher: looks into every answer, and convicts what is wrong. Anybody can run one.

follow finds answers, examine looks into them, demand gets what is withheld, convict sends the
proof; watcher runs them. What was found is in the watcher's tables, what happened is on the chain.
"""
