"""What a source model is: its graph, its interface, and whether its rows are independent.

Pure reading of protobufs. Knows nothing of programs and runs nothing.
"""
