"""Models as programs: an ONNX model normalised until every step of it can be judged.

Responsible for the program (its instructions, constants, root and manifest) and for compiling an
ONNX file into one. Knows nothing of onnxruntime, of runs, or of the chain.
"""
